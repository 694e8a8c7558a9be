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

static bool
put_field(EVP_MAC_CTX *ctx, const KvChainField *field)
{
	uint8_t		head[5] = {0};

	if (field->data == NULL)
		return EVP_MAC_update(ctx, head, 1) == 1;
	head[0] = 1;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t) (field->len >> (24 - 8 * i));
	return EVP_MAC_update(ctx, head, sizeof(head)) == 1 &&
		(field->len == 0 || EVP_MAC_update(ctx, field->data, field->len) == 1);
}

KvStatus
kv_chain_mac(KvChainMac *mac, const char *tag, const KvChainField *fields, size_t count,
			 uint8_t out[static KV_CHAIN_MAC_LEN])
{
	KvChainField first = {tag, strlen(tag)};
	size_t		len;
	bool		good;

	/* no key: the one that it has serves on */
	good = EVP_MAC_init(mac->ctx, NULL, 0, NULL) == 1 && put_field(mac->ctx, &first);
	for (size_t i = 0; good && i < count; i++)
		good = put_field(mac->ctx, &fields[i]);
	if (good && EVP_MAC_final(mac->ctx, out, &len, KV_CHAIN_MAC_LEN) == 1)
		return KV_OK;
	OPENSSL_cleanse(out, KV_CHAIN_MAC_LEN);
	ERR_clear_error();
	return KV_CRYPTO_FAILURE;
}
