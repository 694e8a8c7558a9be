/*
 * xaes.h
 *		XAES-256-GCM: authenticated encryption with a 192-bit random nonce.
 *
 * Source: C2SP XAES-256-GCM, which is the NIST SP 800-108r1 KDF in counter mode
 * with CMAC-AES256, then AES-256-GCM (SP 800-38D).
 *
 * For one thread at a time, as aes.h is.
 */
#ifndef KV_XAES_H
#define KV_XAES_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KV_XAES_KEY_LEN		32
#define KV_XAES_NONCE_LEN	24
#define KV_XAES_TAG_LEN		16	/* what sealing adds, behind the ciphertext */

/*
 * A key ready for use.  The caller owns the memory, keeps it locked, and wipes
 * it; both members are secret.
 */
typedef struct KvXaesKey
{
	uint8_t		key[KV_XAES_KEY_LEN];
	uint8_t		k1[16];			/* CMAC subkey K1 of SP 800-38B */
} KvXaesKey;

/*
 * Gets from libcrypto what all below need, which costs more than hundreds of opens.
 * They do it themselves when it has not been done; a process that forks does it
 * first, so that its children need not.
 *
 * Returns KV_OK or KV_CRYPTO_FAILURE.
 */
extern KV_MUST_CHECK KvStatus kv_xaes_prepare(void);

/*
 * Makes xaes_key from 32 key bytes.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE, and xaes_key is then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_xaes_key_init(KvXaesKey *xaes_key,
							 const uint8_t key[static KV_XAES_KEY_LEN]);

/*
 * Seals len bytes of plaintext together with aad_len bytes of associated data.
 * Writes len + KV_XAES_TAG_LEN bytes to sealed, which must not overlap what is
 * read.  A nonce must be random, and never used twice with one key.  plaintext
 * and aad may be NULL when their length is 0.
 *
 * Returns KV_OK; KV_TOO_LARGE when a length does not fit an int, and nothing is
 * written; KV_CRYPTO_FAILURE, and sealed is then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_xaes_seal(const KvXaesKey *xaes_key,
						 const uint8_t nonce[static KV_XAES_NONCE_LEN],
						 const uint8_t *aad, size_t aad_len,
						 const uint8_t *plaintext, size_t len,
						 uint8_t *sealed);

/*
 * Opens what kv_xaes_seal made.  len counts the tag; writes len -
 * KV_XAES_TAG_LEN bytes to plaintext, which must not overlap what is read.
 *
 * Returns KV_OK; KV_MALFORMED when len has no room for a tag, and KV_TOO_LARGE
 * when a length does not fit an int, and nothing is written; KV_TAMPERED when
 * the tag does not match, and KV_CRYPTO_FAILURE, and plaintext is then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_xaes_open(const KvXaesKey *xaes_key,
						 const uint8_t nonce[static KV_XAES_NONCE_LEN],
						 const uint8_t *aad, size_t aad_len,
						 const uint8_t *sealed, size_t len,
						 uint8_t *plaintext);

/* At most so many are derived at once. */
#define KV_XAES_DERIVED_MAX	32

/* What seals and opens one message: secret, as is the key that it was derived from. */
typedef struct KvXaesMessageKey
{
	uint8_t		key[KV_XAES_KEY_LEN];
	uint8_t		nonce[KV_XAES_NONCE_LEN];
} KvXaesMessageKey;

/*
 * Derives the keys of count messages, whose nonces are there.  All at once they cost
 * hardly more than one.
 *
 * Returns KV_OK; KV_TOO_LARGE; KV_CRYPTO_FAILURE, and keys are then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_xaes_derive(const KvXaesKey *xaes_key, KvXaesMessageKey *keys, size_t count);

/* As kv_xaes_seal() and kv_xaes_open(), with a derived key. */
extern KV_MUST_CHECK KvStatus
			kv_xaes_seal_message(const KvXaesMessageKey *key,
								 const uint8_t *aad, size_t aad_len,
								 const uint8_t *plaintext, size_t len,
								 uint8_t *sealed);
extern KV_MUST_CHECK KvStatus
			kv_xaes_open_message(const KvXaesMessageKey *key,
								 const uint8_t *aad, size_t aad_len,
								 const uint8_t *sealed, size_t len,
								 uint8_t *plaintext);

#endif							/* KV_XAES_H */
