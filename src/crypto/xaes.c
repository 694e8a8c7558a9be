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

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "xaes.h"

#define BLOCK_LEN		16
#define NONCE_PREFIX	12		/* the part of the nonce that derives the key */

/*
 * Fetched and allocated once: a fetch by name costs more than the rest of an
 * open.  The contexts are reset after every use, which costs about 0.2 us and
 * frees (after wiping) the key schedules, so that none stays in ordinary memory.
 * One exception: while many are opened or sealed, those of AES-GCM stay as the last
 * message left them.
 */
static EVP_CIPHER *aes_ecb;
static EVP_CIPHER *aes_gcm;
static EVP_CIPHER_CTX *ecb_ctx;

/* One for each direction, because a context that serves on keeps its. */
typedef struct Gcm
{
	EVP_CIPHER_CTX *ctx;
	bool		serves_on;		/* it has its cipher, and the key of the last message */
} Gcm;

static Gcm	opening;
static Gcm	sealing;
static unsigned many;			/* how many said that they do many */

static bool
ciphers_ready(void)
{
	if (sealing.ctx != NULL)
		return true;

	/* What an earlier attempt got is kept, so that failing again leaks nothing */
	if (aes_ecb == NULL)
		aes_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	if (aes_gcm == NULL)
		aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (ecb_ctx == NULL)
		ecb_ctx = EVP_CIPHER_CTX_new();
	if (opening.ctx == NULL)
		opening.ctx = EVP_CIPHER_CTX_new();
	if (aes_ecb == NULL || aes_gcm == NULL || ecb_ctx == NULL || opening.ctx == NULL)
		return false;

	/* Last, because it stands for all five */
	sealing.ctx = EVP_CIPHER_CTX_new();
	return sealing.ctx != NULL;
}

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

/* Encrypts whole blocks with AES-256, each for itself. */
static bool
aes_blocks(const uint8_t key[static KV_XAES_KEY_LEN],
		   const uint8_t *in, int len, uint8_t *out)
{
	int			out_len = 0;
	bool		done;

	/*
	 * With padding on, which is the default, an update gives out every whole
	 * block when it encrypts; only EVP_EncryptFinal would add one.
	 */
	done = EVP_EncryptInit_ex2(ecb_ctx, aes_ecb, key, NULL, NULL) == 1 &&
		EVP_EncryptUpdate(ecb_ctx, out, &out_len, in, len) == 1 &&
		out_len == len;

	if (EVP_CIPHER_CTX_reset(ecb_ctx) != 1)
		done = false;
	return done;
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
	bool		done;

	if (count > KV_XAES_DERIVED_MAX)
		return KV_TOO_LARGE;

	for (size_t i = 0; i < count; i++)
		put_kdf_messages(xaes_key, keys[i].nonce, blocks + i * KV_XAES_KEY_LEN);
	/* each block for itself, so that they may be encrypted where they are */
	done = ciphers_ready() &&
		aes_blocks(xaes_key->key, blocks, (int) (count * KV_XAES_KEY_LEN), blocks);
	for (size_t i = 0; i < count; i++)
	{
		if (done)
			memcpy(keys[i].key, blocks + i * KV_XAES_KEY_LEN, KV_XAES_KEY_LEN);
		else
			OPENSSL_cleanse(&keys[i], sizeof(keys[i]));
	}
	OPENSSL_cleanse(blocks, count * KV_XAES_KEY_LEN);
	return done ? KV_OK : failed(KV_CRYPTO_FAILURE);
}

/* Told of a cipher, even of the same, a context would free all that it has. */
static const EVP_CIPHER *
cipher_for(const Gcm *gcm)
{
	return gcm->serves_on ? NULL : aes_gcm;
}

/* After a message: false when that fails. */
static bool
put_away(Gcm *gcm, bool serves_on)
{
	gcm->serves_on = serves_on && many > 0;
	return gcm->serves_on || EVP_CIPHER_CTX_reset(gcm->ctx) == 1;
}

static bool
gcm_encrypt(const uint8_t key[static KV_XAES_KEY_LEN], const uint8_t *iv,
			const uint8_t *aad, int aad_len,
			const uint8_t *plaintext, int len, uint8_t *sealed)
{
	EVP_CIPHER_CTX *ctx = sealing.ctx;
	OSSL_PARAM	tag[2];
	int			out_len = 0;
	uint8_t		none[BLOCK_LEN];
	bool		done;

	tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
											   sealed + len, KV_XAES_TAG_LEN);
	tag[1] = OSSL_PARAM_construct_end();

	done = EVP_EncryptInit_ex2(ctx, cipher_for(&sealing), key, iv, NULL) == 1 &&
		(aad_len == 0 ||
		 EVP_EncryptUpdate(ctx, NULL, &out_len, aad, aad_len) == 1) &&
		(len == 0 ||
		 (EVP_EncryptUpdate(ctx, sealed, &out_len, plaintext, len) == 1 &&
		  out_len == len)) &&
		EVP_EncryptFinal_ex(ctx, none, &out_len) == 1 &&
		EVP_CIPHER_CTX_get_params(ctx, tag) == 1;

	if (!put_away(&sealing, done))
		done = false;
	return done;
}

static KvStatus
gcm_decrypt(const uint8_t key[static KV_XAES_KEY_LEN], const uint8_t *iv,
			const uint8_t *aad, int aad_len,
			const uint8_t *sealed, int len, uint8_t *plaintext)
{
	EVP_CIPHER_CTX *ctx = opening.ctx;
	OSSL_PARAM	tag[2];
	int			out_len = 0;
	uint8_t		none[BLOCK_LEN];
	KvStatus	status = KV_CRYPTO_FAILURE;

	/* libcrypto only reads it, but has one type for both directions */
	tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
											   (void *) (sealed + len),
											   KV_XAES_TAG_LEN);
	tag[1] = OSSL_PARAM_construct_end();

	if (EVP_DecryptInit_ex2(ctx, cipher_for(&opening), key, iv, tag) == 1 &&
		(aad_len == 0 ||
		 EVP_DecryptUpdate(ctx, NULL, &out_len, aad, aad_len) == 1) &&
		(len == 0 ||
		 (EVP_DecryptUpdate(ctx, plaintext, &out_len, sealed, len) == 1 &&
		  out_len == len)))
		status = EVP_DecryptFinal_ex(ctx, none, &out_len) == 1 ?
			KV_OK : KV_TAMPERED;

	if (!put_away(&opening, status != KV_CRYPTO_FAILURE))
		status = KV_CRYPTO_FAILURE;
	return status;
}

void
kv_xaes_begin_many(void)
{
	many++;
}

static void
end_service(Gcm *gcm)
{
	if (gcm->serves_on)
		(void) EVP_CIPHER_CTX_reset(gcm->ctx);
	gcm->serves_on = false;
}

void
kv_xaes_end_many(void)
{
	if (--many > 0)
		return;
	end_service(&opening);
	end_service(&sealing);
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
	static const uint8_t zero[BLOCK_LEN] = {0};
	uint8_t    *k1 = xaes_key->k1;
	uint8_t		overflow;

	/* K1 is AES_K(0) doubled in GF(2^128): SP 800-38B, section 6.1 */
	if (!ciphers_ready() || !aes_blocks(key, zero, BLOCK_LEN, k1))
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
	if (aad_len > INT_MAX || len > INT_MAX - KV_XAES_TAG_LEN)
		return KV_TOO_LARGE;
	if (!ciphers_ready() ||
		!gcm_encrypt(key->key, key->nonce + NONCE_PREFIX, aad, (int) aad_len,
					 plaintext, (int) len, sealed))
	{
		OPENSSL_cleanse(sealed, len + KV_XAES_TAG_LEN);
		return failed(KV_CRYPTO_FAILURE);
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
	KvStatus	status = KV_CRYPTO_FAILURE;

	if (len < KV_XAES_TAG_LEN)
		return KV_MALFORMED;
	if (aad_len > INT_MAX || len > INT_MAX)
		return KV_TOO_LARGE;
	len -= KV_XAES_TAG_LEN;

	if (ciphers_ready())
		status = gcm_decrypt(key->key, key->nonce + NONCE_PREFIX, aad, (int) aad_len,
							 sealed, (int) len, plaintext);
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
