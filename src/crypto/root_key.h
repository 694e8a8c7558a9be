/*
 * root_key.h
 *		Root keys: making one, and the id that is its fingerprint.
 *
 * The id is the first 8 bytes of SHA-256 over a domain tag and the key, with
 * nothing between them, so that a shell line can compute it:
 *
 *		{ printf 'key_vault root key v1'; printf '%s' "$base64" | base64 -d; } |
 *			sha256sum | cut -c1-16
 *
 * It tells nothing about the key that guessing all of it would not.
 */
#ifndef KV_ROOT_KEY_H
#define KV_ROOT_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KV_ROOT_KEY_LEN			32
#define KV_ROOT_KEY_ID_LEN		8
#define KV_ROOT_KEY_ID_HEX_LEN	(2 * KV_ROOT_KEY_ID_LEN)

/*
 * Fills key with 32 random bytes from libcrypto's private generator.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE, and key is then all zero.
 */
extern KV_MUST_CHECK KvStatus kv_random_root_key(uint8_t key[static KV_ROOT_KEY_LEN]);

/* As kv_xaes_prepare() for what is below.  Returns KV_OK or KV_CRYPTO_FAILURE. */
extern KV_MUST_CHECK KvStatus kv_root_key_prepare(void);

/*
 * Computes the id of a root key.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE, and id is then all zero.
 */
extern KV_MUST_CHECK KvStatus kv_root_key_id(const uint8_t key[static KV_ROOT_KEY_LEN],
											 uint8_t id[static KV_ROOT_KEY_ID_LEN]);

/* Writes an id as 16 lowercase hex digits and a NUL. */
extern void kv_root_key_id_to_hex(const uint8_t id[static KV_ROOT_KEY_ID_LEN],
								  char hex[static KV_ROOT_KEY_ID_HEX_LEN + 1]);

/*
 * Reads an id: len must be 16, all lowercase hex digits; no NUL is needed.
 *
 * Returns KV_OK; KV_SYNTAX, and id is then all zero.
 */
extern KV_MUST_CHECK KvStatus kv_root_key_id_from_hex(const char *hex, size_t len,
													  uint8_t id[static KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_ROOT_KEY_H */
