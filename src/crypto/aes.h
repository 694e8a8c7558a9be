/*
 * aes.h
 *		AES-256 as libcrypto has it: whole blocks, and GCM.
 *
 * Lengths are at most INT_MAX.  Nothing here leaves a key in libcrypto's memory, but for
 * what kv_aes_begin_many() says.  What fails may leave entries in OpenSSL's error queue.
 *
 * For one thread at a time: the contexts are static.
 */
#ifndef KV_AES_H
#define KV_AES_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KV_AES_KEY_LEN		32
#define KV_AES_BLOCK_LEN	16
#define KV_AES_IV_LEN		12
#define KV_AES_TAG_LEN		16

/*
 * Encrypts whole blocks where they are, each for itself.
 *
 * Returns KV_OK or KV_CRYPTO_FAILURE.
 */
extern KV_MUST_CHECK KvStatus
			kv_aes_blocks(const uint8_t key[static KV_AES_KEY_LEN], uint8_t *blocks, size_t len);

/*
 * Writes len bytes and the tag to sealed.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE, and what is in sealed is then nothing.
 */
extern KV_MUST_CHECK KvStatus
			kv_aes_gcm_encrypt(const uint8_t key[static KV_AES_KEY_LEN],
							   const uint8_t iv[static KV_AES_IV_LEN],
							   const uint8_t *aad, size_t aad_len,
							   const uint8_t *plaintext, size_t len, uint8_t *sealed);

/*
 * Writes len bytes to plaintext; sealed has as many and the tag.
 *
 * Returns KV_OK; KV_TAMPERED; KV_CRYPTO_FAILURE.  For other than KV_OK the caller wipes
 * plaintext: it was decrypted before it was checked.
 */
extern KV_MUST_CHECK KvStatus
			kv_aes_gcm_decrypt(const uint8_t key[static KV_AES_KEY_LEN],
							   const uint8_t iv[static KV_AES_IV_LEN],
							   const uint8_t *aad, size_t aad_len,
							   const uint8_t *sealed, size_t len, uint8_t *plaintext);

/*
 * Between the two, GCM's last key stays in libcrypto's memory until the next one takes its
 * place: wiping it costs a third of what a message costs.  For who opens or seals many in
 * a row, and has what is in them in memory all the while.  Each begin needs its end, and
 * they may overlap.
 */
extern void kv_aes_begin_many(void);
extern void kv_aes_end_many(void);

#endif							/* KV_AES_H */
