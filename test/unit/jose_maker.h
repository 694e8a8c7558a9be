/*
 * jose_maker.h
 *		Keys and tokens for the tests of src/jose, good and bad.
 *
 * What is returned as char * is malloc's.  Nothing here is a secret.
 */
#ifndef KV_JOSE_MAKER_H
#define KV_JOSE_MAKER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jose/b64.h>
#include <jose/jwk.h>
#include <openssl/hmac.h>

#include "jose/library.h"
#include "jose/token.h"

#define NOW			INT64_C(1700000000)	/* seconds; the tests' clock stands still */
#define MICROS		INT64_C(1000000)
#define SECRET		"this is a secret of 32 bytes ...."

/* What a token says unless a test wants it otherwise. */
#define CLAIMS		"{\"iss\":\"https://issuer\",\"aud\":\"app\",\"sub\":\"user_a\",\"iat\":1699999990,\"exp\":1700000600}"

static const char *const app_audience[] = {"app"};

static const KvTokenRules app_rules __attribute__((unused)) = {
	.audiences = app_audience,
	.audience_count = 1,
	.audience_claim = "aud",
	.user_claim = "sub",
	.user_prefix = "",
	.max_age = 24 * 3600 * MICROS,
	.clock_skew = 30 * MICROS,
};

/* Base64url of some bytes. */
static inline char *
base64url(const void *bytes, size_t len)
{
	json_t	   *text = jose_b64_enc(bytes, len);
	char	   *copy = strdup(json_string_value(text));

	json_decref(text);
	return copy;
}

/* header.payload in base64url, of texts that may be anything. */
static inline char *
signing_input(const char *header, size_t header_len, const char *payload, size_t payload_len)
{
	char	   *one = base64url(header, header_len);
	char	   *two = base64url(payload, payload_len);
	char	   *input = malloc(strlen(one) + strlen(two) + 2);

	sprintf(input, "%s.%s", one, two);
	free(one);
	free(two);
	return input;
}

/* A token whose HS256 signature is right, whatever its texts are. */
static inline char *
hs256_bytes(const char *header, size_t header_len, const char *payload, size_t payload_len,
			const void *secret, size_t secret_len)
{
	char	   *input = signing_input(header, header_len, payload, payload_len);
	unsigned char mac[32];
	char	   *signature;
	char	   *token;

	HMAC(EVP_sha256(), secret, (int) secret_len, (unsigned char *) input, strlen(input), mac, NULL);
	signature = base64url(mac, sizeof(mac));
	token = malloc(strlen(input) + strlen(signature) + 2);
	sprintf(token, "%s.%s", input, signature);
	free(input);
	free(signature);
	return token;
}

static inline char *
hs256(const char *header, const char *payload)
{
	return hs256_bytes(header, strlen(header), payload, strlen(payload), SECRET, strlen(SECRET));
}

/* As above, with the usual header. */
static inline char *
hs256_claims(const char *payload)
{
	return hs256("{\"alg\":\"HS256\",\"kid\":\"one\"}", payload);
}

/* A private key, by libjose.  alg says of which kind. */
static inline json_t *
private_key(const char *alg, const char *id)
{
	json_t	   *jwk = json_pack("{s:s}", "alg", alg);

	if (!jose_jwk_gen(NULL, jwk))
		abort();
	json_object_set_new(jwk, "kid", json_string(id));
	json_object_del(jwk, "key_ops");
	return jwk;
}

/* The part of a key that its issuer publishes; a symmetric one as it is. */
static inline json_t *
public_key(const json_t *jwk)
{
	json_t	   *copy = json_deep_copy(jwk);

	if (json_object_get(copy, "k") == NULL && !jose_jwk_pub(NULL, copy))
		abort();
	return copy;
}

/* A set of these keys; NULL ends them.  They stay the caller's. */
static inline char *
set_text(const json_t *first, const json_t *second)
{
	json_t	   *set = json_pack("{s:[O]}", "keys", first);
	char	   *text;

	if (second != NULL)
		json_array_append(json_object_get(set, "keys"), (json_t *) second);
	text = json_dumps(set, JSON_COMPACT);
	json_decref(set);
	return text;
}

/* The set of a JSON text that must be good. */
static inline KvKeySet *
good_set(const char *json)
{
	KvKeySet   *set;
	size_t		number;
	KvKeySetFault fault = kv_key_set_parse(json, strlen(json), &set, &number);

	if (fault != KV_KEYS_OK)
	{
		printf("Bail out! key %zu: %s\n", number, kv_key_set_fault_text(fault));
		exit(1);
	}
	return set;
}

/* The public set of a private key. */
static inline KvKeySet *
set_of(const json_t *jwk)
{
	json_t	   *public = public_key(jwk);
	char	   *text = set_text(public, NULL);
	KvKeySet   *set = good_set(text);

	free(text);
	json_decref(public);
	return set;
}

/* The set whose only key is SECRET, for HS256, with the id "one". */
static inline KvKeySet *
secret_set(void)
{
	char	   *secret = base64url(SECRET, strlen(SECRET));
	json_t	   *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", "oct", "alg", "HS256", "kid", "one",
								"k", secret);
	KvKeySet   *set = set_of(jwk);

	json_decref(jwk);
	free(secret);
	return set;
}

/* A token that libjose signs; header is JSON. */
static inline char *
signed_by(const json_t *jwk, const char *header, const char *payload)
{
	json_t	   *protected = json_loads(header, 0, NULL);
	json_t	   *signature = json_pack("{s:o}", "protected", protected);
	json_t	   *jws = json_pack("{s:o}", "payload", jose_b64_enc(payload, strlen(payload)));
	char	   *token;

	if (!jose_jws_sig(NULL, jws, signature, jwk))
		abort();
	if (asprintf(&token, "%s.%s.%s", json_string_value(json_object_get(jws, "protected")),
				 json_string_value(json_object_get(jws, "payload")),
				 json_string_value(json_object_get(jws, "signature"))) < 0)
		abort();
	json_decref(signature);
	json_decref(jws);
	return token;
}

/* All the steps at once. */
static inline KvTokenFault
authenticate_bytes(const char *text, size_t len, const KvKeySet *set, const KvTokenRules *rules,
				   KvTokenSubject *subject)
{
	KvToken    *token;
	KvTokenFault fault = kv_token_parse(text, len, &token);
	const char *issuer;
	size_t		issuer_len;

	memset(subject, 0, sizeof(*subject));
	if (fault == KV_TOKEN_OK)
		fault = kv_token_issuer(token, &issuer, &issuer_len);
	if (fault == KV_TOKEN_OK)
		fault = kv_token_verify(token, set);
	if (fault == KV_TOKEN_OK)
		fault = kv_token_check(token, rules, NOW * MICROS, subject);
	kv_token_free(token);
	return fault;
}

/* As above with the usual rules; the text is freed. */
static inline KvTokenFault
outcome(char *text, const KvKeySet *set)
{
	KvTokenSubject subject;
	KvTokenFault fault = authenticate_bytes(text, strlen(text), set, &app_rules, &subject);

	free(text);
	return fault;
}

#endif							/* KV_JOSE_MAKER_H */
