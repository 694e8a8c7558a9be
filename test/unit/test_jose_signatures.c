/*
 * test_jose_signatures.c
 *		Whose key signed a token: of each algorithm, and for none of the tricks.
 */
#define _GNU_SOURCE
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "jose/base64url.h"
#include "jose/compact.h"
#include "jose_maker.h"
#include "tap.h"

static const char *const algorithms[] = {
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"
};

#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

static json_t *keys[ALGORITHMS];

static char *
header_of(const char *algorithm, const char *more)
{
	static char header[4000];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"%s}", algorithm, more);
	return header;
}

static void
every_algorithm_verifies(void)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
	{
		KvKeySet   *set = set_of(keys[i]);

		check(strcmp(kv_key_set_info(set, 0).algorithm, algorithms[i]) == 0);
		check(outcome(signed_by(keys[i], header_of(algorithms[i], ",\"kid\":\"it\""), CLAIMS), set) == KV_TOKEN_OK);
		check(outcome(signed_by(keys[i], header_of(algorithms[i], ""), CLAIMS), set) == KV_TOKEN_OK);
		kv_key_set_free(set);
	}
}

/* Any token with any other key, and with its own key under another algorithm's name. */
static void
no_algorithm_stands_for_another(void)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
	{
		char	   *token = signed_by(keys[i], header_of(algorithms[i], ",\"kid\":\"it\""), CLAIMS);

		for (size_t j = 0; j < ALGORITHMS; j++)
		{
			KvKeySet   *set = set_of(keys[j]);
			json_t	   *renamed = json_deep_copy(keys[i]);
			char	   *text = NULL;
			KvKeySet   *other = NULL;
			size_t		number;

			check((outcome(strdup(token), set) == KV_TOKEN_OK) == (i == j));
			check(i == j || outcome(strdup(token), set) == KV_TOKEN_KEY_ALGORITHM);
			kv_key_set_free(set);

			/* the very same key, said to be for another */
			json_object_set_new(renamed, "alg", json_string(algorithms[j]));
			if (json_object_get(renamed, "k") == NULL)
				jose_jwk_pub(NULL, renamed);
			text = set_text(renamed, NULL);
			if (kv_key_set_parse(text, strlen(text), &other, &number) == KV_KEYS_OK)
				check((outcome(strdup(token), other) == KV_TOKEN_OK) == (i == j));
			kv_key_set_free(other);
			free(text);
			json_decref(renamed);
		}
		free(token);
	}
}

/* The header lies about who signed. */
static void
a_header_that_lies_is_refused(void)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		for (size_t j = 0; j < ALGORITHMS; j++)
		{
			char	   *token = signed_by(keys[i], header_of(algorithms[i], ",\"kid\":\"it\""), CLAIMS);
			const char *header = header_of(algorithms[j], ",\"kid\":\"it\"");
			char	   *encoded = base64url(header, strlen(header));
			char	   *lie;
			KvKeySet   *set = set_of(keys[j]);

			if (i == j || asprintf(&lie, "%s%s", encoded, strchr(token, '.')) < 0)
				lie = strdup("");
			check(outcome(lie, set) != KV_TOKEN_OK);
			kv_key_set_free(set);
			free(encoded);
			free(token);
		}
}

/* A public key's text as the secret of HS256: in each spelling that libraries have taken. */
static void
a_public_key_is_no_secret(void)
{
	json_t	   *public = public_key(keys[0]);
	KvKeySet   *set = set_of(keys[0]);
	EVP_PKEY   *key = jose_openssl_jwk_to_EVP_PKEY(NULL, public);
	BIO		   *pem = BIO_new(BIO_s_mem());
	BIO		   *der = BIO_new(BIO_s_mem());
	char	   *json = json_dumps(public, JSON_COMPACT);
	char	   *bytes;
	long		len;

	require(PEM_write_bio_PUBKEY(pem, key) == 1 && i2d_PUBKEY_bio(der, key) == 1);
	for (int i = 0; i < 6; i++)
	{
		static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"it\"}", "{\"alg\":\"HS256\"}"};

		bytes = json;
		len = (long) strlen(json);
		if (i / 2 == 0)
			len = BIO_get_mem_data(pem, &bytes);
		else if (i / 2 == 1)
			len = BIO_get_mem_data(der, &bytes);
		check(outcome(hs256_bytes(headers[i % 2], strlen(headers[i % 2]), CLAIMS, strlen(CLAIMS), bytes, (size_t) len), set) ==
			  (i % 2 == 0 ? KV_TOKEN_KEY_ALGORITHM : KV_TOKEN_UNKNOWN_KEY));
	}
	free(json);
	BIO_free(pem);
	BIO_free(der);
	EVP_PKEY_free(key);
	kv_key_set_free(set);
	json_decref(public);
}

static void
key_ids_are_names_and_nothing_else(void)
{
	static const char *const ids[] = {
		"", "It", "it ", "i", "itt", "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "it' --", "it\\n", "*", "%", "0", "it,it"
	};
	KvKeySet   *set = secret_set();
	char		header[2000];

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
	{
		snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}", ids[i]);
		check(outcome(hs256(header, CLAIMS), set) == KV_TOKEN_UNKNOWN_KEY);
	}
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%01000d\"}", 0);
	check(outcome(hs256(header, CLAIMS), set) == KV_TOKEN_UNKNOWN_KEY);
	kv_key_set_free(set);
}

/* Headers that bring a key, or say where one is, change nothing. */
static void
a_token_brings_no_key(void)
{
	json_t	   *mine = private_key("RS256", "it");
	json_t	   *public = public_key(mine);
	char	   *json = json_dumps(public, JSON_COMPACT);
	KvKeySet   *set = set_of(keys[0]);
	char	   *more;

	require(asprintf(&more, ",\"kid\":\"it\",\"jwk\":%s,\"jku\":\"http://127.0.0.1:9/\",\"x5u\":\"file:///etc/passwd\",\"x5c\":[\"AAAA\"]",
					 json) > 0);
	check(outcome(signed_by(mine, header_of("RS256", more), CLAIMS), set) == KV_TOKEN_SIGNATURE);
	check(outcome(signed_by(keys[0], header_of("RS256", more), CLAIMS), set) == KV_TOKEN_OK);
	free(more);
	require(asprintf(&more, ",\"jwk\":%s", json) > 0);
	check(outcome(signed_by(mine, header_of("RS256", more), CLAIMS), set) == KV_TOKEN_SIGNATURE);
	free(more);
	free(json);
	kv_key_set_free(set);
	json_decref(public);
	json_decref(mine);
}

/* A set of count public ES256 keys, of which the last is key. */
static KvKeySet *
set_with_last(const json_t *key, int count)
{
	json_t	   *list = json_array();
	json_t	   *whole;
	char	   *text;
	KvKeySet   *set;

	for (int i = 1; i <= count; i++)
	{
		json_t	   *other = i < count ? private_key("ES256", "it") : json_deep_copy(key);
		char		id[20];

		snprintf(id, sizeof(id), "it%d", i);
		json_object_set_new(other, "kid", json_string(id));
		jose_jwk_pub(NULL, other);
		json_array_append_new(list, other);
	}
	whole = json_pack("{s:o}", "keys", list);
	text = json_dumps(whole, JSON_COMPACT);
	set = good_set(text);
	free(text);
	json_decref(whole);
	return set;
}

static void
without_an_id_some_keys_are_tried(void)
{
	json_t	   *key = keys[6];
	char	   *token = signed_by(key, "{\"alg\":\"ES256\"}", CLAIMS);

	for (int count = 1; count <= KV_JWS_TRIES_MAX + 1; count++)
	{
		KvKeySet   *set = set_with_last(key, count);
		char		header[60];

		check(outcome(strdup(token), set) == (count <= KV_JWS_TRIES_MAX ? KV_TOKEN_OK : KV_TOKEN_KEY_UNNAMED));
		check(outcome(signed_by(keys[7], "{\"alg\":\"ES384\"}", CLAIMS), set) == KV_TOKEN_UNKNOWN_KEY);

		/* one that is named has to be the one */
		snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"it%d\"}", count);
		check(outcome(signed_by(key, header, CLAIMS), set) == KV_TOKEN_OK);
		check(count == 1 || outcome(signed_by(key, "{\"alg\":\"ES256\",\"kid\":\"it1\"}", CLAIMS), set) == KV_TOKEN_SIGNATURE);
		kv_key_set_free(set);
	}
	free(token);
}

/* header.payload. and these bytes. */
static char *
with_signature(const char *token, const void *bytes, size_t len)
{
	int			dot = (int) (strrchr(token, '.') - token);
	char	   *signature = base64url(bytes, len);
	char	   *made;

	if (asprintf(&made, "%.*s.%s", dot, token, signature) < 0)
		abort();
	free(signature);
	return made;
}

/* Empty, all zero, too short, too long: for each algorithm. */
static void
odd_signatures_are_refused(void)
{
	static const unsigned char bytes[1200];
	static const size_t lengths[] = {0, 1, 31, 32, 33, 48, 63, 64, 65, 96, 132, 255, 256, 257, 1100};

	for (size_t i = 0; i < ALGORITHMS; i++)
	{
		KvKeySet   *set = set_of(keys[i]);
		char	   *token = signed_by(keys[i], header_of(algorithms[i], ",\"kid\":\"it\""), CLAIMS);

		for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++)
			check(outcome(with_signature(token, bytes, lengths[j]), set) == KV_TOKEN_SIGNATURE);
		kv_key_set_free(set);
		free(token);
	}
}

/* ECDSA's signatures are r and s, each at full length: not DER, not 0, not the order more. */
static void
ecdsa_has_one_spelling(void)
{
	KvKeySet   *set = set_of(keys[6]);
	char	   *token = signed_by(keys[6], "{\"alg\":\"ES256\",\"kid\":\"it\"}", CLAIMS);
	const char *text = strrchr(token, '.') + 1;
	unsigned char raw[64];
	unsigned char changed[65];
	unsigned char *der = NULL;
	ECDSA_SIG  *signature = ECDSA_SIG_new();
	int			der_len;

	require(jose_b64_dec_buf(text, strlen(text), raw, sizeof(raw)) == sizeof(raw));
	check(outcome(with_signature(token, raw, sizeof(raw)), set) == KV_TOKEN_OK);

	require(ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL)) == 1);
	der_len = i2d_ECDSA_SIG(signature, &der);
	check(outcome(with_signature(token, der, (size_t) der_len), set) == KV_TOKEN_SIGNATURE);
	OPENSSL_free(der);
	ECDSA_SIG_free(signature);

	memcpy(changed, raw, 64);
	memset(changed, 0, 32);
	check(outcome(with_signature(token, changed, 64), set) == KV_TOKEN_SIGNATURE);
	memcpy(changed, raw, 64);
	memset(changed + 32, 0, 32);
	check(outcome(with_signature(token, changed, 64), set) == KV_TOKEN_SIGNATURE);
	memcpy(changed, raw, 64);
	memset(changed + 32, 0xff, 32);
	check(outcome(with_signature(token, changed, 64), set) == KV_TOKEN_SIGNATURE);
	memset(changed, 0, 1);
	memcpy(changed + 1, raw, 64);
	check(outcome(with_signature(token, changed, 65), set) == KV_TOKEN_SIGNATURE);
	/* r and s in the other order */
	memcpy(changed, raw + 32, 32);
	memcpy(changed + 32, raw, 32);
	check(outcome(with_signature(token, changed, 64), set) == KV_TOKEN_SIGNATURE);
	free(token);
	kv_key_set_free(set);
}

/* One bit of each character, for a public key of each kind. */
static void
every_byte_counts(void)
{
	static const size_t kinds[] = {0, 3, 6};

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
	{
		json_t	   *key = keys[kinds[kind]];
		KvKeySet   *set = set_of(key);
		char	   *token = signed_by(key, header_of(algorithms[kinds[kind]], ",\"kid\":\"it\""), CLAIMS);
		KvTokenSubject subject;

		for (size_t i = 0; token[i] != '\0'; i++)
		{
			token[i] ^= (char) (1 << i % 7);
			check(authenticate_bytes(token, strlen(token), set, &app_rules, &subject) != KV_TOKEN_OK);
			token[i] ^= (char) (1 << i % 7);
		}
		check(outcome(token, set) == KV_TOKEN_OK);
		kv_key_set_free(set);
	}
}

/* A failure must not be found by the next who asks OpenSSL, such as TLS. */
static void
no_error_stays_in_the_queue(void)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
	{
		KvKeySet   *set = set_of(keys[i]);
		unsigned char zeros[600] = {0};
		char	   *token = signed_by(keys[i], header_of(algorithms[i], ",\"kid\":\"it\""), CLAIMS);
		size_t		len = KV_BASE64URL_BYTES(strlen(strrchr(token, '.') + 1));

		ERR_clear_error();
		check(outcome(with_signature(token, zeros, len), set) == KV_TOKEN_SIGNATURE);
		check(ERR_peek_error() == 0);
		free(token);
		kv_key_set_free(set);
	}
}

int
main(void)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		keys[i] = private_key(algorithms[i], "it");
	run(every_algorithm_verifies);
	run(no_algorithm_stands_for_another);
	run(a_header_that_lies_is_refused);
	run(a_public_key_is_no_secret);
	run(key_ids_are_names_and_nothing_else);
	run(a_token_brings_no_key);
	run(without_an_id_some_keys_are_tried);
	run(odd_signatures_are_refused);
	run(ecdsa_has_one_spelling);
	run(every_byte_counts);
	run(no_error_stays_in_the_queue);
	for (size_t i = 0; i < ALGORITHMS; i++)
		json_decref(keys[i]);
	return finish();
}
