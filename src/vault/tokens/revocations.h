/*
 * revocations.h
 *		Whose tokens are refused, and since when.
 */
#ifndef KV_REVOCATIONS_H
#define KV_REVOCATIONS_H

#include "datatype/timestamp.h"

#include "jose/token.h"

/* Sees to it that tokens can be revoked: when an issuer is trusted.  Errors: XX001. */
extern void kv_revocations_prepare(void);

/*
 * Whether a token was revoked, whose subject is in the database's encoding.
 *
 * Errors: XX001 when the key does not open by which users are known.
 */
extern bool kv_token_is_revoked(const KvTokenSubject *subject);

/*
 * Refuses from now on what was issued for the user before a time, and clock_skew more.
 * user_id NULL means the identity.
 *
 * Errors: 42501 for another user's, unless the caller has level service or admin; 22004;
 * 22023 for a time that is none or ahead; 55000 when no issuer was ever trusted.
 */
extern void kv_tokens_revoke(text *user_id, TimestampTz issued_before);

/*
 * The same of a user who is forgotten, as of now; nothing when no issuer was ever trusted.
 * A WARNING of XX001 or F0000 when the key does not open by which users are known.
 */
extern void kv_tokens_revoke_forgotten(text *user_id);

/* Removes revocations of which no token is young enough; how many. */
extern uint64 kv_revocations_purge(void);

#endif							/* KV_REVOCATIONS_H */
