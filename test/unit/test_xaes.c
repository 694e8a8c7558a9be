/*
 * test_xaes.c
 *		XAES-256-GCM against its published vectors.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "crypto/xaes.h"
#include "tap.h"

#define ITERATIONS		10000

static const uint8_t *const vector_nonce = (const uint8_t *) "ABCDEFGHIJKLMNOPQRSTUVWX";
static const uint8_t *const vector_plaintext = (const uint8_t *) "XAES-256-GCM";

static void
vector(uint8_t key_byte, const char *aad, const uint8_t expected[static 28])
{
	KvXaesKey	xaes_key;
	uint8_t		key[KV_XAES_KEY_LEN];
	uint8_t		sealed[28];
	uint8_t		plaintext[12];

	memset(key, key_byte, sizeof(key));
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	require(kv_xaes_seal(&xaes_key, vector_nonce, (const uint8_t *) aad, strlen(aad),
						 vector_plaintext, 12, sealed) == KV_OK);
	check(memcmp(sealed, expected, sizeof(sealed)) == 0);
	require(kv_xaes_open(&xaes_key, vector_nonce, (const uint8_t *) aad, strlen(aad),
						 sealed, sizeof(sealed), plaintext) == KV_OK);
	check(memcmp(plaintext, vector_plaintext, sizeof(plaintext)) == 0);
}

static void
first_published_vector(void)
{
	static const uint8_t expected[] = {
		0xce, 0x54, 0x6e, 0xf6, 0x3c, 0x9c, 0xc6, 0x07, 0x65, 0x92, 0x36, 0x09, 0xb3, 0x3a,
		0x9a, 0x19, 0x74, 0xe9, 0x6e, 0x52, 0xda, 0xf2, 0xfc, 0xf7, 0x07, 0x5e, 0x22, 0x71
	};

	vector(1, "", expected);
}

/* Twice: the second time, all is there. */
static void
prepares_libcrypto(void)
{
	check(kv_xaes_prepare() == KV_OK);
	check(kv_xaes_prepare() == KV_OK);
	first_published_vector();
}

/* The key's CMAC subkey overflows here, and not in the first. */
static void
second_published_vector(void)
{
	static const uint8_t expected[] = {
		0x98, 0x6e, 0xc1, 0x83, 0x25, 0x93, 0xdf, 0x54, 0x43, 0xa1, 0x79, 0x43, 0x7f, 0xd0,
		0x83, 0xbf, 0x3f, 0xdb, 0x41, 0xab, 0xd7, 0x40, 0xa2, 0x1f, 0x71, 0xeb, 0x76, 0x9d
	};

	vector(3, "c2sp.org/XAES-256-GCM", expected);
}

/*
 * The accumulated test of C2SP: keys, nonces, plaintexts and associated data are
 * drawn from SHAKE-128 of nothing, and all that is sealed is hashed by another.
 */
static void
accumulated_test_of_10000_random_inputs(void)
{
	static const uint8_t expected[] = {
		0xe6, 0xb9, 0xed, 0xf2, 0xdf, 0x6c, 0xec, 0x60, 0xc8, 0xcb, 0xd8, 0x64, 0xe2, 0x21, 0x1b, 0x59,
		0x7f, 0xb6, 0x9a, 0x52, 0x91, 0x60, 0xcd, 0x04, 0x0d, 0x56, 0xc0, 0xc2, 0x10, 0x08, 0x19, 0x39
	};
	/* OpenSSL 3.0 squeezes once, so draw what the longest inputs would need */
	size_t		stream_len = (size_t) ITERATIONS * (32 + 24 + 1 + 255 + 1 + 255);
	uint8_t    *stream = malloc(stream_len);
	uint8_t    *next = stream;
	uint8_t		sealed[255 + KV_XAES_TAG_LEN];
	uint8_t		opened[255];
	uint8_t		digest[32];
	EVP_MD_CTX *source = EVP_MD_CTX_new();
	EVP_MD_CTX *sink = EVP_MD_CTX_new();

	check(EVP_DigestInit_ex(source, EVP_shake128(), NULL) == 1);
	check(EVP_DigestFinalXOF(source, stream, stream_len) == 1);
	check(EVP_DigestInit_ex(sink, EVP_shake128(), NULL) == 1);

	for (int i = 0; i < ITERATIONS; i++)
	{
		KvXaesKey	xaes_key;
		const uint8_t *nonce;
		const uint8_t *plaintext;
		const uint8_t *aad;
		size_t		plaintext_len;
		size_t		aad_len;

		check(kv_xaes_key_init(&xaes_key, next) == KV_OK);
		nonce = next + 32;
		next = next + 32 + 24;
		plaintext_len = *next++;
		plaintext = next;
		next += plaintext_len;
		aad_len = *next++;
		aad = next;
		next += aad_len;

		check(kv_xaes_seal(&xaes_key, nonce, aad, aad_len,
						   plaintext, plaintext_len, sealed) == KV_OK);
		check(EVP_DigestUpdate(sink, sealed, plaintext_len + KV_XAES_TAG_LEN) == 1);
		check(kv_xaes_open(&xaes_key, nonce, aad, aad_len, sealed,
						   plaintext_len + KV_XAES_TAG_LEN, opened) == KV_OK);
		check(memcmp(opened, plaintext, plaintext_len) == 0);
	}

	check(EVP_DigestFinalXOF(sink, digest, sizeof(digest)) == 1);
	check(memcmp(digest, expected, sizeof(digest)) == 0);
	EVP_MD_CTX_free(source);
	EVP_MD_CTX_free(sink);
	free(stream);
}

static void
nothing_at_all_is_sealed_and_opened(void)
{
	KvXaesKey	xaes_key;
	uint8_t		key[KV_XAES_KEY_LEN] = {7};
	uint8_t		sealed[KV_XAES_TAG_LEN];
	uint8_t		nowhere;

	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	require(kv_xaes_seal(&xaes_key, vector_nonce, NULL, 0, NULL, 0, sealed) == KV_OK);
	check(kv_xaes_open(&xaes_key, vector_nonce, NULL, 0,
					   sealed, sizeof(sealed), &nowhere) == KV_OK);
	sealed[0] ^= 1;
	check(kv_xaes_open(&xaes_key, vector_nonce, NULL, 0,
					   sealed, sizeof(sealed), &nowhere) == KV_TAMPERED);
}

static void
every_bit_of_key_and_nonce_matters(void)
{
	KvXaesKey	xaes_key;
	uint8_t		key[KV_XAES_KEY_LEN] = {7};
	uint8_t		nonce[KV_XAES_NONCE_LEN];
	uint8_t		sealed[12 + KV_XAES_TAG_LEN];
	uint8_t		plaintext[12];

	memcpy(nonce, vector_nonce, sizeof(nonce));
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	require(kv_xaes_seal(&xaes_key, nonce, NULL, 0,
						 vector_plaintext, 12, sealed) == KV_OK);

	for (size_t bit = 0; bit < 8 * sizeof(nonce); bit++)
	{
		nonce[bit / 8] ^= (uint8_t) (1 << bit % 8);
		check(kv_xaes_open(&xaes_key, nonce, NULL, 0,
						   sealed, sizeof(sealed), plaintext) == KV_TAMPERED);
		nonce[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(key); bit++)
	{
		key[bit / 8] ^= (uint8_t) (1 << bit % 8);
		check(kv_xaes_key_init(&xaes_key, key) == KV_OK);
		check(kv_xaes_open(&xaes_key, nonce, NULL, 0,
						   sealed, sizeof(sealed), plaintext) == KV_TAMPERED);
		key[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	check(kv_xaes_open(&xaes_key, nonce, NULL, 0,
					   sealed, sizeof(sealed), plaintext) == KV_OK);
}

static void
what_does_not_open_leaves_only_zeroes(void)
{
	static const uint8_t zero[12] = {0};
	KvXaesKey	xaes_key;
	uint8_t		key[KV_XAES_KEY_LEN] = {7};
	uint8_t		sealed[12 + KV_XAES_TAG_LEN];
	uint8_t		plaintext[12];

	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	require(kv_xaes_seal(&xaes_key, vector_nonce, NULL, 0,
						 vector_plaintext, 12, sealed) == KV_OK);
	sealed[sizeof(sealed) - 1] ^= 1;
	memset(plaintext, 0xaa, sizeof(plaintext));
	check(kv_xaes_open(&xaes_key, vector_nonce, NULL, 0,
					   sealed, sizeof(sealed), plaintext) == KV_TAMPERED);
	check(memcmp(plaintext, zero, sizeof(zero)) == 0);
}

static void
lengths_that_cannot_be_are_refused(void)
{
	KvXaesKey	xaes_key;
	uint8_t		key[KV_XAES_KEY_LEN] = {7};
	uint8_t		bytes[KV_XAES_TAG_LEN] = {0};

	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	for (size_t len = 0; len < KV_XAES_TAG_LEN; len++)
		check(kv_xaes_open(&xaes_key, vector_nonce, NULL, 0,
						   bytes, len, bytes) == KV_MALFORMED);
	check(kv_xaes_open(&xaes_key, vector_nonce, NULL, 0,
					   bytes, (size_t) INT_MAX + 1, bytes) == KV_TOO_LARGE);
	check(kv_xaes_open(&xaes_key, vector_nonce, bytes, (size_t) INT_MAX + 1,
					   bytes, sizeof(bytes), bytes) == KV_TOO_LARGE);
	check(kv_xaes_seal(&xaes_key, vector_nonce, NULL, 0,
					   bytes, INT_MAX - KV_XAES_TAG_LEN + 1, bytes) == KV_TOO_LARGE);
	check(kv_xaes_seal(&xaes_key, vector_nonce, bytes, (size_t) INT_MAX + 1,
					   bytes, 0, bytes) == KV_TOO_LARGE);
}

int
main(void)
{
	run(prepares_libcrypto);
	run(first_published_vector);
	run(second_published_vector);
	run(accumulated_test_of_10000_random_inputs);
	run(nothing_at_all_is_sealed_and_opened);
	run(every_bit_of_key_and_nonce_matters);
	run(what_does_not_open_leaves_only_zeroes);
	run(lengths_that_cannot_be_are_refused);
	return finish();
}
