/*
 * verification.h
 *		Whom a token stands for.
 */
#ifndef KV_VERIFICATION_H
#define KV_VERIFICATION_H

#include "jose/token.h"

/*
 * Whom it stands for, in the database's encoding, after invalidation messages were
 * accepted.  What was found good a moment ago is remembered, for as long as no issuer and
 * no revocation has changed.
 *
 * Errors: 28000 when it is refused, for one reason that the message says; XX001 and F0000
 * when what is known of its issuer does not open.
 */
extern void kv_token_judge(const char *token, Size len, KvTokenSubject *subject);

#endif							/* KV_VERIFICATION_H */
