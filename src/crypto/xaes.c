/*
 * xaes.c
 *		XAES-256-GCM over libcrypto.
 *
 * This room turns keys and bytes into sealed bytes and back.  Nothing of the
 * server's comes in: neither its memory, nor its errors, nor what a row is.
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "aes.h"
#include "xaes.h"

#define BLOCK_LEN		KV_AES_BLOCK_LEN
#define NONCE_PREFIX	12		/* the part of the nonce that derives the key */

/*
 * Our codes say what happened, and an entry left in OpenSSL's error queue would
 * be taken for a failure of the next user's, such as a TLS connection.
 */
static KvStatus
failed(KvStatus status)
{
	ERR_clear_error();
	return status;
}

/*
 * What the key of one message is derived from.  Both KDF messages are exactly one block,
 * so CMAC is one encryption of the message XOR K1.
 */
static void
put_kdf_messages(const KvXaesKey *xaes_key,
				 const uint8_t nonce[static KV_XAES_NONCE_LEN],
				 uint8_t messages[static 2 * BLOCK_LEN])
{
	for (int i = 0; i < 2; i++)
	{
		uint8_t    *message = messages + i * BLOCK_LEN;

		message[0] = 0;
		message[1] = (uint8_t) (i + 1);
		message[2] = 'X';
		message[3] = 0;
		memcpy(message + 4, nonce, NONCE_PREFIX);
		for (int j = 0; j < BLOCK_LEN; j++)
			message[j] ^= xaes_key->k1[j];
	}
}

KvStatus
kv_xaes_derive(const KvXaesKey *xaes_key, KvXaesMessageKey *keys, size_t count)
{
	uint8_t		blocks[KV_XAES_DERIVED_MAX * KV_XAES_KEY_LEN];
	KvStatus	status;

	if (count > KV_XAES_DERIVED_MAX)
		return KV_TOO_LARGE;

	for (size_t i = 0; i < count; i++)
		put_kdf_messages(xaes_key, keys[i].nonce, blocks + i * KV_XAES_KEY_LEN);
	status = kv_aes_blocks(xaes_key->key, blocks, count * KV_XAES_KEY_LEN);
	for (size_t i = 0; i < count; i++)
	{
		if (status == KV_OK)
			memcpy(keys[i].key, blocks + i * KV_XAES_KEY_LEN, KV_XAES_KEY_LEN);
		else
			OPENSSL_cleanse(&keys[i], sizeof(keys[i]));
	}
	OPENSSL_cleanse(blocks, count * KV_XAES_KEY_LEN);
	return status == KV_OK ? KV_OK : failed(status);
}

KvStatus
kv_xaes_prepare(void)
{
	static const uint8_t key[KV_XAES_KEY_LEN] = {0};
	static const uint8_t nonce[KV_XAES_NONCE_LEN] = {0};
	KvXaesKey	xaes_key;
	uint8_t		sealed[KV_XAES_TAG_LEN];
	uint8_t		opened[1];
	KvStatus	status;

	/* Once through all of it: libcrypto, too, makes things ready when first used */
	status = kv_xaes_key_init(&xaes_key, key);
	if (status == KV_OK)
		status = kv_xaes_seal(&xaes_key, nonce, NULL, 0, NULL, 0, sealed);
	if (status == KV_OK)
		status = kv_xaes_open(&xaes_key, nonce, NULL, 0, sealed, sizeof(sealed), opened);
	return status;
}

KvStatus
kv_xaes_key_init(KvXaesKey *xaes_key, const uint8_t key[static KV_XAES_KEY_LEN])
{
	uint8_t    *k1 = xaes_key->k1;
	uint8_t		overflow;

	memset(k1, 0, BLOCK_LEN);
	/* K1 is AES_K(0) doubled in GF(2^128): SP 800-38B, section 6.1 */
	if (kv_aes_blocks(key, k1, BLOCK_LEN) != KV_OK)
	{
		OPENSSL_cleanse(xaes_key, sizeof(*xaes_key));
		return failed(KV_CRYPTO_FAILURE);
	}

	overflow = k1[0] >> 7;
	for (int i = 0; i < BLOCK_LEN - 1; i++)
		k1[i] = (uint8_t) (k1[i] << 1 | k1[i + 1] >> 7);
	k1[BLOCK_LEN - 1] = (uint8_t) (k1[BLOCK_LEN - 1] << 1);
	/* A product, not a branch: the bit is secret */
	k1[BLOCK_LEN - 1] ^= (uint8_t) (overflow * 0x87);

	memcpy(xaes_key->key, key, KV_XAES_KEY_LEN);
	return KV_OK;
}

KvStatus
kv_xaes_seal_message(const KvXaesMessageKey *key,
					 const uint8_t *aad, size_t aad_len,
					 const uint8_t *plaintext, size_t len,
					 uint8_t *sealed)
{
	KvStatus	status;

	if (aad_len > INT_MAX || len > INT_MAX - KV_XAES_TAG_LEN)
		return KV_TOO_LARGE;

	status = kv_aes_gcm_encrypt(key->key, key->nonce + NONCE_PREFIX, aad, aad_len,
								plaintext, len, sealed);
	if (status != KV_OK)
	{
		OPENSSL_cleanse(sealed, len + KV_XAES_TAG_LEN);
		return failed(status);
	}
	return KV_OK;
}

KvStatus
kv_xaes_seal(const KvXaesKey *xaes_key,
			 const uint8_t nonce[static KV_XAES_NONCE_LEN],
			 const uint8_t *aad, size_t aad_len,
			 const uint8_t *plaintext, size_t len,
			 uint8_t *sealed)
{
	KvXaesMessageKey key;
	KvStatus	status;

	if (aad_len > INT_MAX || len > INT_MAX - KV_XAES_TAG_LEN)
		return KV_TOO_LARGE;

	memcpy(key.nonce, nonce, KV_XAES_NONCE_LEN);
	status = kv_xaes_derive(xaes_key, &key, 1);
	if (status == KV_OK)
		status = kv_xaes_seal_message(&key, aad, aad_len, plaintext, len, sealed);
	else
		OPENSSL_cleanse(sealed, len + KV_XAES_TAG_LEN);
	OPENSSL_cleanse(&key, sizeof(key));
	return status;
}

KvStatus
kv_xaes_open_message(const KvXaesMessageKey *key,
					 const uint8_t *aad, size_t aad_len,
					 const uint8_t *sealed, size_t len,
					 uint8_t *plaintext)
{
	KvStatus	status;

	if (len < KV_XAES_TAG_LEN)
		return KV_MALFORMED;
	if (aad_len > INT_MAX || len > INT_MAX)
		return KV_TOO_LARGE;
	len -= KV_XAES_TAG_LEN;

	status = kv_aes_gcm_decrypt(key->key, key->nonce + NONCE_PREFIX, aad, aad_len,
								sealed, len, plaintext);
	if (status != KV_OK)
	{
		/* GCM decrypts before it has checked: nobody may see that */
		OPENSSL_cleanse(plaintext, len);
		return failed(status);
	}
	return KV_OK;
}

KvStatus
kv_xaes_open(const KvXaesKey *xaes_key,
			 const uint8_t nonce[static KV_XAES_NONCE_LEN],
			 const uint8_t *aad, size_t aad_len,
			 const uint8_t *sealed, size_t len,
			 uint8_t *plaintext)
{
	KvXaesMessageKey key;
	KvStatus	status;

	if (len < KV_XAES_TAG_LEN)
		return KV_MALFORMED;
	if (aad_len > INT_MAX || len > INT_MAX)
		return KV_TOO_LARGE;

	memcpy(key.nonce, nonce, KV_XAES_NONCE_LEN);
	status = kv_xaes_derive(xaes_key, &key, 1);
	if (status == KV_OK)
		status = kv_xaes_open_message(&key, aad, aad_len, sealed, len, plaintext);
	else
		OPENSSL_cleanse(plaintext, len - KV_XAES_TAG_LEN);
	OPENSSL_cleanse(&key, sizeof(key));
	return status;
}
