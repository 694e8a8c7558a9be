/*
 * claims.h
 *		What a token's claims say, by an issuer's rules.
 */
#ifndef KV_JOSE_CLAIMS_H
#define KV_JOSE_CLAIMS_H

#include "library.h"
#include "token.h"

/* As kv_token_check(), for the claims alone: that somebody signed them is not asked. */
extern KV_MUST_CHECK KvTokenFault kv_claims_check(const json_t *claims, const KvTokenRules *rules,
												  int64_t now, KvTokenSubject *subject);

#endif							/* KV_JOSE_CLAIMS_H */
