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

static bool
put_bytes(Gathered *gathered, const void *bytes, size_t len)
{
	if (gathered->len + len > sizeof(gathered->bytes))
	{
		if (EVP_MAC_update(gathered->ctx, gathered->bytes, gathered->len) != 1)
			return false;
		gathered->len = 0;
	}
	if (len > sizeof(gathered->bytes))
		return EVP_MAC_update(gathered->ctx, bytes, len) == 1;
	memcpy(gathered->bytes + gathered->len, bytes, len);
	gathered->len += len;
	return true;
}

static bool
put_field(Gathered *gathered, const KvChainField *field)
{
	uint8_t		head[5] = {0};

	if (field->data == NULL)
		return put_bytes(gathered, head, 1);
	head[0] = 1;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t) (field->len >> (24 - 8 * i));
	return put_bytes(gathered, head, sizeof(head)) &&
		(field->len == 0 || put_bytes(gathered, field->data, field->len));
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
	if (good && EVP_MAC_update(mac->ctx, gathered.bytes, gathered.len) == 1 &&
		EVP_MAC_final(mac->ctx, out, &len, KV_CHAIN_MAC_LEN) == 1)
		return KV_OK;
	OPENSSL_cleanse(out, KV_CHAIN_MAC_LEN);
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}
