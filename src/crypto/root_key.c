/*
 * root_key.c
 *		Root keys: making one, and the id that is its fingerprint.
 *
 * Where root keys are kept is not known here; see format/keyring_text.h for how
 * they are written.
 */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "root_key.h"

#define SHA256_LEN		32

static const char id_tag[] = "key_vault root key v1";

KvStatus
kv_random_root_key(uint8_t key[static KV_ROOT_KEY_LEN])
{
	/* It answers -1, too, when it fails */
	if (RAND_priv_bytes(key, KV_ROOT_KEY_LEN) != 1)
	{
		OPENSSL_cleanse(key, KV_ROOT_KEY_LEN);
		ERR_clear_error();
		return KV_CRYPTO_FAILURE;
	}
	return KV_OK;
}

KvStatus
kv_root_key_prepare(void)
{
	static const uint8_t key[KV_ROOT_KEY_LEN] = {0};
	uint8_t		id[KV_ROOT_KEY_ID_LEN];

	return kv_root_key_id(key, id);
}

KvStatus
kv_root_key_id(const uint8_t key[static KV_ROOT_KEY_LEN],
			   uint8_t id[static KV_ROOT_KEY_ID_LEN])
{
	static EVP_MD *sha256;		/* fetched once: that is the dear part */
	const size_t tag_len = sizeof(id_tag) - 1;
	uint8_t		input[sizeof(id_tag) - 1 + KV_ROOT_KEY_LEN];
	uint8_t		digest[SHA256_LEN];
	KvStatus	status = KV_CRYPTO_FAILURE;

	memset(id, 0, KV_ROOT_KEY_ID_LEN);
	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

	memcpy(input, id_tag, tag_len);
	memcpy(input + tag_len, key, KV_ROOT_KEY_LEN);
	if (sha256 != NULL &&
		EVP_Digest(input, sizeof(input), digest, NULL, sha256, NULL) == 1)
	{
		memcpy(id, digest, KV_ROOT_KEY_ID_LEN);
		status = KV_OK;
	}
	else
		ERR_clear_error();

	OPENSSL_cleanse(input, sizeof(input));
	OPENSSL_cleanse(digest, sizeof(digest));
	return status;
}

void
kv_root_key_id_to_hex(const uint8_t id[static KV_ROOT_KEY_ID_LEN],
					  char hex[static KV_ROOT_KEY_ID_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < KV_ROOT_KEY_ID_LEN; i++)
	{
		hex[2 * i] = digits[id[i] >> 4];
		hex[2 * i + 1] = digits[id[i] & 15];
	}
	hex[KV_ROOT_KEY_ID_HEX_LEN] = '\0';
}

/* The value of a lowercase hex digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

KvStatus
kv_root_key_id_from_hex(const char *hex, size_t len,
						uint8_t id[static KV_ROOT_KEY_ID_LEN])
{
	memset(id, 0, KV_ROOT_KEY_ID_LEN);
	if (len != KV_ROOT_KEY_ID_HEX_LEN)
		return KV_SYNTAX;

	for (size_t i = 0; i < KV_ROOT_KEY_ID_LEN; i++)
	{
		int			high = hex_digit(hex[2 * i]);
		int			low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
		{
			memset(id, 0, KV_ROOT_KEY_ID_LEN);
			return KV_SYNTAX;
		}
		id[i] = (uint8_t) (high << 4 | low);
	}
	return KV_OK;
}
