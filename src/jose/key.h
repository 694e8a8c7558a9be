/*
 * key.h
 *		One key of an issuer: a JWK that verifies signatures of one algorithm.
 */
#ifndef KV_JOSE_KEY_H
#define KV_JOSE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "algorithm.h"
#include "fault.h"
#include "key_set.h"
#include "library.h"
#include "status.h"

typedef struct KvKey
{
	const KvAlgorithm *algorithm;	/* the only one that it verifies */
	size_t		signature_len;	/* bytes that a signature of it has */
	json_t	   *id;				/* "kid", a JSON text; NULL when it has none */
	json_t	   *jwk;			/* what libjose gets: kty, alg, and the key's numbers */
} KvKey;

/*
 * Reads one member of a JWK Set.  *usable is false, and nothing is in key, for what is
 * skipped (RFC 7517 section 5): a "use" or "key_ops" that is not for verifying, and a
 * "kty", "crv" or "alg" that key_vault does not know.
 *
 * Without "alg", the algorithm is that of the curve for EC, RS256 for RSA, HS256 for a
 * secret: PS256 has to be asked for by name.
 *
 * Any private key is refused, of a kind that would be skipped, too.
 */
extern KV_MUST_CHECK KvKeySetFault kv_key_read(const json_t *jwk, KvKey *key, bool *usable);

/* Lets go of what is in it; a key that is all zero has nothing. */
extern void kv_key_clear(KvKey *key);

#endif							/* KV_JOSE_KEY_H */
