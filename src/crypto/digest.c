/*
 * digest.c
 *		SHA-256, and HMAC with it.  What is hashed is not known here.
 */
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "digest.h"

/* Fetched and made once: that is the dear part. */
static EVP_MD *sha256;
static EVP_MD_CTX *context;

KvStatus
kv_digest_prepare(void)
{
	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (context == NULL)
		context = EVP_MD_CTX_new();
	if (sha256 != NULL && context != NULL)
		return KV_OK;
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}

/* As it shall be returned: nothing of a digest that is none. */
static KvStatus
finish(bool done, uint8_t *digest)
{
	if (done)
		return KV_OK;
	memset(digest, 0, KV_DIGEST_LEN);
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}

KvStatus
kv_sha256(const void *data, size_t len, uint8_t digest[static KV_DIGEST_LEN])
{
	return finish(kv_digest_prepare() == KV_OK &&
				  EVP_DigestInit_ex2(context, sha256, NULL) == 1 &&
				  EVP_DigestUpdate(context, data, len) == 1 &&
				  EVP_DigestFinal_ex(context, digest, NULL) == 1, digest);
}

KvStatus
kv_hmac_sha256(const uint8_t key[static KV_HASH_KEY_LEN], const void *data, size_t len,
			   uint8_t digest[static KV_DIGEST_LEN])
{
	return finish(kv_digest_prepare() == KV_OK &&
				  HMAC(sha256, key, KV_HASH_KEY_LEN, data, len, digest, NULL) != NULL, digest);
}

KvStatus
kv_random_hash_key(uint8_t key[static KV_HASH_KEY_LEN])
{
	/* It answers -1, too, when it fails */
	return finish(RAND_priv_bytes(key, KV_HASH_KEY_LEN) == 1, key);
}
