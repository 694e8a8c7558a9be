/*
 * digest.h
 *		SHA-256, and HMAC with it.
 */
#ifndef KV_DIGEST_H
#define KV_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KV_DIGEST_LEN	32
#define KV_HASH_KEY_LEN	32

/* Fetches the algorithm, so that forks need not. */
extern KV_MUST_CHECK KvStatus kv_digest_prepare(void);

/* Returns KV_OK; KV_CRYPTO_FAILURE, and digest is then all zero. */
extern KV_MUST_CHECK KvStatus
			kv_sha256(const void *data, size_t len, uint8_t digest[static KV_DIGEST_LEN]);

/* HMAC-SHA-256 (RFC 2104).  Returns as kv_sha256(). */
extern KV_MUST_CHECK KvStatus
			kv_hmac_sha256(const uint8_t key[static KV_HASH_KEY_LEN],
						   const void *data, size_t len, uint8_t digest[static KV_DIGEST_LEN]);

/* A random key for it.  Returns as kv_sha256(). */
extern KV_MUST_CHECK KvStatus kv_random_hash_key(uint8_t key[static KV_HASH_KEY_LEN]);

#endif							/* KV_DIGEST_H */
