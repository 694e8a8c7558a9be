/*
 * chain_mac.c
 *		The codes that chain the audit's records.
 *
 * What a record is, and where it is kept, is not known here.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "chain_mac.h"

struct KvChainMac
{
	EVP_MAC_CTX *ctx;
};

KvStatus
kv_chain_key_random(uint8_t key[static KV_CHAIN_KEY_LEN])
{
	if (RAND_priv_bytes(key, KV_CHAIN_KEY_LEN) == 1)
		return KV_OK;
	OPENSSL_cleanse(key, KV_CHAIN_KEY_LEN);
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}

static EVP_MAC_CTX *
new_context(void)
{
	EVP_MAC    *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;

	EVP_MAC_free(hmac);
	return ctx;
}

KvChainMac *
kv_chain_mac_new(const uint8_t key[static KV_CHAIN_KEY_LEN])
{
	KvChainMac *mac = calloc(1, sizeof(*mac));
	OSSL_PARAM	params[2];

	if (mac == NULL)
		return NULL;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) "SHA256", 0);
	params[1] = OSSL_PARAM_construct_end();
	mac->ctx = new_context();
	if (mac->ctx != NULL && EVP_MAC_init(mac->ctx, key, KV_CHAIN_KEY_LEN, params) == 1)
		return mac;
	kv_chain_mac_free(mac);
	ERR_clear_error();
	return NULL;
}

void
kv_chain_mac_free(KvChainMac *mac)
{
	if (mac == NULL)
		return;
	EVP_MAC_CTX_free(mac->ctx);
	free(mac);
}

/* What is coded, gathered: a call of libcrypto costs more than a few bytes do. */
typedef struct Gathered
{
	EVP_MAC_CTX *ctx;
	size_t		len;
	uint8_t		bytes[512];
} Gathered;

#define HEAD_LEN 5

static bool
code_gathered(Gathered *gathered)
{
	size_t		len = gathered->len;

	gathered->len = 0;
	return EVP_MAC_update(gathered->ctx, gathered->bytes, len) == 1;
}

static bool
put_field(Gathered *gathered, const KvChainField *field)
{
	uint32_t	len = field->data != NULL ? (uint32_t) field->len : 0;
	uint8_t    *to;

	if (gathered->len + HEAD_LEN + len > sizeof(gathered->bytes) && !code_gathered(gathered))
		return false;
	to = gathered->bytes + gathered->len;
	to[0] = field->data != NULL;
	if (field->data == NULL)
	{
		gathered->len++;
		return true;
	}
	to[1] = (uint8_t) (len >> 24);
	to[2] = (uint8_t) (len >> 16);
	to[3] = (uint8_t) (len >> 8);
	to[4] = (uint8_t) len;
	gathered->len += HEAD_LEN;
	if (HEAD_LEN + len > sizeof(gathered->bytes))
		return code_gathered(gathered) && EVP_MAC_update(gathered->ctx, field->data, len) == 1;
	memcpy(to + HEAD_LEN, field->data, len);
	gathered->len += len;
	return true;
}

KvStatus
kv_chain_mac(KvChainMac *mac, const char *tag, const KvChainField *fields, size_t count,
			 uint8_t out[static KV_CHAIN_MAC_LEN])
{
	KvChainField first = {tag, strlen(tag)};
	Gathered	gathered;
	size_t		len;
	bool		good;

	gathered.ctx = mac->ctx;
	gathered.len = 0;
	/* no key: the one that it has serves on */
	good = EVP_MAC_init(mac->ctx, NULL, 0, NULL) == 1 && put_field(&gathered, &first);
	for (size_t i = 0; good && i < count; i++)
		good = put_field(&gathered, &fields[i]);
	if (good && code_gathered(&gathered) &&
		EVP_MAC_final(mac->ctx, out, &len, KV_CHAIN_MAC_LEN) == 1)
		return KV_OK;
	OPENSSL_cleanse(out, KV_CHAIN_MAC_LEN);
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}
