/*
 * compact.h
 *		A signed text in compact form (RFC 7515): read strictly, and verified by libjose.
 *
 * What the text says is token.h's; this asks only who signed it.
 */
#ifndef KV_JOSE_COMPACT_H
#define KV_JOSE_COMPACT_H

#include <stddef.h>
#include <stdint.h>

#include "algorithm.h"
#include "fault.h"
#include "key_set.h"
#include "library.h"
#include "status.h"
#include "strict_json.h"

#define KV_TOKEN_MAX		(16 * 1024) /* bytes of the whole */
#define KV_JWS_TRIES_MAX	4	/* keys that are tried for a token that names none */

typedef struct KvJws
{
	const KvAlgorithm *algorithm;	/* by the header's "alg" */
	size_t		signature_len;	/* bytes */
	json_t	   *header;
	json_t	   *parts;			/* what libjose gets */
} KvJws;

/*
 * Reads len bytes, which need no NUL behind them.  The header's `jku`, `x5u`, `jwk` and
 * `x5c`, by which a token names a key of its own, are ignored, and nothing is fetched.
 *
 * *payload are the bytes that are signed, *payload_len of them, for kv_jose_free(); they
 * are nobody's word until kv_jws_verify() has said so.
 *
 * Returns KV_TOKEN_OK or one of the first faults of fault.h; then jws is all zero and
 * *payload is NULL.
 */
extern KV_MUST_CHECK KvTokenFault kv_jws_parse(const char *text, size_t len, KvJws *jws,
											   uint8_t **payload, size_t *payload_len);

/*
 * Whether a key of the set signed it: the one of the header's `kid`; without a `kid`, one
 * of those for its algorithm, of which there may be KV_JWS_TRIES_MAX.  A key verifies
 * tokens of its own algorithm and no others.
 *
 * Returns KV_TOKEN_OK, KV_TOKEN_UNKNOWN_KEY, KV_TOKEN_KEY_UNNAMED,
 * KV_TOKEN_KEY_ALGORITHM, KV_TOKEN_SIGNATURE (also when libcrypto fails),
 * KV_TOKEN_NO_MEMORY.
 */
extern KV_MUST_CHECK KvTokenFault kv_jws_verify(const KvJws *jws, const KvKeySet *set);

/* A fault of a token's JSON; syntax is the one for what is no object. */
extern KvTokenFault kv_token_json_fault(KvJsonFault fault, KvTokenFault syntax);

/* Wipes and lets go of what is in it; nothing for one that is all zero. */
extern void kv_jws_clear(KvJws *jws);

#endif							/* KV_JOSE_COMPACT_H */
