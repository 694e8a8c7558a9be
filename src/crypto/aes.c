/*
 * aes.c
 *		AES-256 as libcrypto has it: whole blocks, and GCM.
 *
 * The functions are those of libcrypto's provider, as provider-cipher(7) has them.  The
 * EVP_CIPHER_CTX in front of them asks the provider for the lengths of key and nonce by
 * name each time, and allocates anew what it wiped: more than half of what a secret of the
 * usual length costs.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "aes.h"

typedef struct Cipher
{
	const char *name;
	EVP_CIPHER *fetched;		/* keeps the provider loaded; set when the functions are */
	OSSL_FUNC_cipher_newctx_fn *make;
	OSSL_FUNC_cipher_freectx_fn *free;
	OSSL_FUNC_cipher_encrypt_init_fn *begin_encrypting;
	OSSL_FUNC_cipher_decrypt_init_fn *begin_decrypting;
	OSSL_FUNC_cipher_update_fn *update;
	OSSL_FUNC_cipher_final_fn *finish;
	OSSL_FUNC_cipher_get_ctx_params_fn *get;
	void	   *state;			/* libcrypto's: has the key as long as it is in use */
} Cipher;

static Cipher ecb = {.name = "AES-256-ECB"};
static Cipher gcm = {.name = "AES-256-GCM"};
static unsigned many;			/* how many said that they do many */

/* Algorithms have several names, with colons between them. */
static bool
is_named(const char *names, const char *name)
{
	size_t		len = strlen(name);

	for (; names != NULL; names = strchr(names, ':'))
	{
		names += *names == ':';
		if (strncasecmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0'))
			return true;
	}
	return false;
}

static void
take_function(Cipher *cipher, const OSSL_DISPATCH *function)
{
	switch (function->function_id)
	{
		case OSSL_FUNC_CIPHER_NEWCTX:
			cipher->make = OSSL_FUNC_cipher_newctx(function);
			break;
		case OSSL_FUNC_CIPHER_FREECTX:
			cipher->free = OSSL_FUNC_cipher_freectx(function);
			break;
		case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
			cipher->begin_encrypting = OSSL_FUNC_cipher_encrypt_init(function);
			break;
		case OSSL_FUNC_CIPHER_DECRYPT_INIT:
			cipher->begin_decrypting = OSSL_FUNC_cipher_decrypt_init(function);
			break;
		case OSSL_FUNC_CIPHER_UPDATE:
			cipher->update = OSSL_FUNC_cipher_update(function);
			break;
		case OSSL_FUNC_CIPHER_FINAL:
			cipher->finish = OSSL_FUNC_cipher_final(function);
			break;
		case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
			cipher->get = OSSL_FUNC_cipher_get_ctx_params(function);
			break;
	}
}

static bool
has_all_functions(const Cipher *cipher)
{
	return cipher->make != NULL && cipher->free != NULL && cipher->begin_encrypting != NULL &&
		cipher->begin_decrypting != NULL && cipher->update != NULL &&
		cipher->finish != NULL && cipher->get != NULL;
}

static bool
take_functions(Cipher *cipher, const OSSL_PROVIDER *provider)
{
	int			no_store;
	const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &no_store);

	for (const OSSL_ALGORITHM *one = all; one != NULL && one->algorithm_names != NULL; one++)
	{
		if (!is_named(one->algorithm_names, cipher->name))
			continue;
		for (const OSSL_DISPATCH *f = one->implementation; f->function_id != 0; f++)
			take_function(cipher, f);
		break;
	}
	OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_CIPHER, all);
	return has_all_functions(cipher);
}

static bool
find(Cipher *cipher)
{
	EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, cipher->name, NULL);

	if (fetched == NULL || !take_functions(cipher, EVP_CIPHER_get0_provider(fetched)))
	{
		EVP_CIPHER_free(fetched);
		return false;
	}
	cipher->fetched = fetched;
	return true;
}

static bool
is_ready(Cipher *cipher)
{
	if (cipher->fetched == NULL && !find(cipher))
		return false;
	if (cipher->state == NULL)
		cipher->state = cipher->make(OSSL_PROVIDER_get0_provider_ctx(EVP_CIPHER_get0_provider(cipher->fetched)));
	return cipher->state != NULL;
}

/* Another key takes the place of the last one, and of all that was made of it. */
static bool
forget_key(Cipher *cipher)
{
	static const uint8_t no_key[KV_AES_KEY_LEN] = {0};

	if (cipher->begin_encrypting(cipher->state, no_key, sizeof(no_key), NULL, 0, NULL) == 1)
		return true;
	cipher->free(cipher->state);
	cipher->state = NULL;
	return false;
}

/* Nothing is asked of a cipher that has nothing to do. */
static bool
feed(Cipher *cipher, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	size_t		done;

	return len == 0 || (cipher->update(cipher->state, out, &done, room, in, len) == 1 &&
						done == len);
}

static bool
finish_message(void)
{
	uint8_t		none[KV_AES_BLOCK_LEN];
	size_t		done;

	return gcm.finish(gcm.state, none, &done, sizeof(none)) == 1;
}

KvStatus
kv_aes_blocks(const uint8_t key[static KV_AES_KEY_LEN], uint8_t *blocks, size_t len)
{
	bool		done;

	if (!is_ready(&ecb))
		return KV_CRYPTO_FAILURE;
	/* with padding, which only the end would add: each whole block comes out at once */
	done = ecb.begin_encrypting(ecb.state, key, KV_AES_KEY_LEN, NULL, 0, NULL) == 1 &&
		feed(&ecb, blocks, len, blocks, len);
	return forget_key(&ecb) && done ? KV_OK : KV_CRYPTO_FAILURE;
}

/* After a message: false when that fails. */
static bool
put_away(void)
{
	return many > 0 || forget_key(&gcm);
}

KvStatus
kv_aes_gcm_encrypt(const uint8_t key[static KV_AES_KEY_LEN],
				   const uint8_t iv[static KV_AES_IV_LEN],
				   const uint8_t *aad, size_t aad_len,
				   const uint8_t *plaintext, size_t len, uint8_t *sealed)
{
	OSSL_PARAM	tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, sealed + len, KV_AES_TAG_LEN),
		OSSL_PARAM_END
	};
	bool		done;

	if (!is_ready(&gcm))
		return KV_CRYPTO_FAILURE;
	done = gcm.begin_encrypting(gcm.state, key, KV_AES_KEY_LEN, iv, KV_AES_IV_LEN, NULL) == 1 &&
		feed(&gcm, aad, aad_len, NULL, aad_len) &&
		feed(&gcm, plaintext, len, sealed, len) &&
		finish_message() &&
		gcm.get(gcm.state, tag) == 1;
	return put_away() && done ? KV_OK : KV_CRYPTO_FAILURE;
}

KvStatus
kv_aes_gcm_decrypt(const uint8_t key[static KV_AES_KEY_LEN],
				   const uint8_t iv[static KV_AES_IV_LEN],
				   const uint8_t *aad, size_t aad_len,
				   const uint8_t *sealed, size_t len, uint8_t *plaintext)
{
	/* which is only read, but there is one type for both directions */
	OSSL_PARAM	tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (void *) (sealed + len),
								KV_AES_TAG_LEN),
		OSSL_PARAM_END
	};
	KvStatus	status = KV_CRYPTO_FAILURE;

	if (!is_ready(&gcm))
		return KV_CRYPTO_FAILURE;
	if (gcm.begin_decrypting(gcm.state, key, KV_AES_KEY_LEN, iv, KV_AES_IV_LEN, tag) == 1 &&
		feed(&gcm, aad, aad_len, NULL, aad_len) &&
		feed(&gcm, sealed, len, plaintext, len))
		status = finish_message() ? KV_OK : KV_TAMPERED;
	return put_away() ? status : KV_CRYPTO_FAILURE;
}

void
kv_aes_begin_many(void)
{
	many++;
}

void
kv_aes_end_many(void)
{
	if (--many == 0 && gcm.state != NULL)
		(void) forget_key(&gcm);
}
