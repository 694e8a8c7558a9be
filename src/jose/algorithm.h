/*
 * algorithm.h
 *		The signature algorithms that key_vault takes, and what keys they are for.
 *
 * Source: RFC 7518 section 3.  Not EdDSA and not ES256K, which libjose does not know or
 * which nobody's tokens need.
 */
#ifndef KV_JOSE_ALGORITHM_H
#define KV_JOSE_ALGORITHM_H

#include <stddef.h>

typedef enum KvKeyType
{
	KV_KEY_RSA,
	KV_KEY_EC,
	KV_KEY_SECRET				/* "oct": symmetric */
} KvKeyType;

typedef struct KvAlgorithm
{
	const char *name;			/* as "alg" spells it */
	KvKeyType	type;
	size_t		hash_len;		/* bytes */
	const char *curve;			/* as "crv" spells it; NULL unless it is EC */
	size_t		coordinate_len; /* bytes of x, y, r and s; 0 unless it is EC */
} KvAlgorithm;

/* By its name, byte for byte; NULL when it is none of ours. */
extern const KvAlgorithm *kv_algorithm_find(const char *name, size_t len);

/* The one for keys of this curve; NULL when it is none of ours. */
extern const KvAlgorithm *kv_algorithm_of_curve(const char *curve, size_t len);

/* "RSA", "EC", "oct". */
extern const char *kv_key_type_name(KvKeyType type);

#endif							/* KV_JOSE_ALGORITHM_H */
