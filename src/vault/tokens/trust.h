/*
 * trust.h
 *		Which issuers are trusted, and who may say so.
 */
#ifndef KV_TRUST_H
#define KV_TRUST_H

#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* What trust_issuer() is called with; NULL for an argument that is. */
typedef struct KvTrustArgs
{
	text	   *issuer;
	ArrayType  *audience;		/* text[] */
	Jsonb	   *jwks;
	text	   *user_claim;
	text	   *user_prefix;
	text	   *team_claim;
	text	   *team_admin_claim;
	text	   *audience_claim;
	Interval   *max_age;
	Interval   *clock_skew;
} KvTrustArgs;

/*
 * Registers an issuer, or replaces what is known of it.
 *
 * Errors: 42501 unless the caller is a superuser or the extension's owner; 22004 and
 * 22023 for arguments, among them keys that are weak; F0000 without a root key.
 */
extern void kv_issuer_trust(const KvTrustArgs *args);

/* False when it was not trusted.  Errors: 42501 as above; 22004. */
extern bool kv_issuer_distrust(const text *issuer);

#endif							/* KV_TRUST_H */
