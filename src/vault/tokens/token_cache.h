/*
 * token_cache.h
 *		The tokens that this backend has found good, by what they hash to.
 */
#ifndef KV_TOKEN_CACHE_H
#define KV_TOKEN_CACHE_H

#include "crypto/digest.h"
#include "jose/token.h"

/* A token that was found good.  Whether its times still hold is asked at each use. */
typedef struct KvCachedToken
{
	KvTokenSubject subject;		/* in the database's encoding */
	uint64		issuers_changes;	/* kv_issuers_changes() before it was verified */
	uint64		revocations_changes;	/* kv_revocation_rows_changes() before that was asked */
} KvCachedToken;

/* The one with this digest, or NULL: good until the next call of the other function. */
extern KvCachedToken *kv_token_cache_find(const uint8_t digest[static KV_DIGEST_LEN]);

/* Keeps one, in the place of the one that was used least recently when there is no room. */
extern void kv_token_cache_put(const uint8_t digest[static KV_DIGEST_LEN],
							   const KvCachedToken *token);

#endif							/* KV_TOKEN_CACHE_H */
