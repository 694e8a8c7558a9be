/*
 * fuzz_token_parse.c
 *		Any bytes are a token or a fault, and what is read is what stands there.
 *
 * Bytes with a line end are a header and claims, which are then signed as they should be;
 * others are the token itself.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <string.h>

#include <openssl/hmac.h>

#include <jose/b64.h>

#include "jose/compact.h"
#include "jose/memory.h"
#include "jose/strict_json.h"
#include "jose/token.h"
#include "require.h"

#define NOW		(INT64_C(1700000000) * 1000000)
#define SECRET	"\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37"
#define SET		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}"

static const char *const audiences[] = {"app"};

static const KvTokenRules rules = {
	.audiences = audiences,
	.audience_count = 1,
	.audience_claim = "aud",
	.user_claim = "sub",
	.user_prefix = "",
	.team_claim = "team",
	.team_admin_claim = "admin",
	.max_age = INT64_C(86400) * 1000000,
	.clock_skew = INT64_C(30) * 1000000,
};

static char *
encode(const uint8_t *bytes, size_t len)
{
	json_t	   *text = jose_b64_enc(bytes, len);
	char	   *copy = strdup(json_string_value(text));

	json_decref(text);
	return copy;
}

/* header.payload. and the signature that belongs there. */
static char *
sign(const char *input, size_t len, size_t *token_len)
{
	uint8_t		mac[32];
	char	   *signature;
	char	   *token;

	HMAC(EVP_sha256(), SECRET, 32, (const unsigned char *) input, len, mac, NULL);
	signature = encode(mac, sizeof(mac));
	token = malloc(len + strlen(signature) + 1);
	memcpy(token, input, len);
	token[len] = '.';
	memcpy(token + len + 1, signature, strlen(signature));
	*token_len = len + 1 + strlen(signature);
	free(signature);
	return token;
}

static char *
sign_texts(const uint8_t *data, size_t header_len, size_t size, size_t *token_len)
{
	char	   *header = encode(data, header_len);
	char	   *payload = encode(data + header_len + 1, size - header_len - 1);
	char	   *input = malloc(strlen(header) + strlen(payload) + 2);
	char	   *token;

	sprintf(input, "%s.%s", header, payload);
	token = sign(input, strlen(input), token_len);
	free(header);
	free(payload);
	free(input);
	return token;
}

/* The payload is what its part says, and has no other spelling. */
static void
payload_stands_there(const char *text, size_t len, const uint8_t *payload, size_t payload_len)
{
	const char *dot = memchr(text, '.', len);
	char	   *again = encode(payload, payload_len);

	require(dot != NULL && strlen(again) < (size_t) (text + len - dot - 1));
	require(memcmp(dot + 1, again, strlen(again)) == 0);
	require(dot[1 + strlen(again)] == '.');
	free(again);
}

/* What is verified was signed: the same text comes of signing it again. */
static void
was_signed(const char *text, size_t len)
{
	size_t		input_len = len;
	size_t		again_len;
	char	   *again;

	while (text[input_len - 1] != '.')
		input_len--;
	again = sign(text, input_len - 1, &again_len);
	require(again_len == len && memcmp(again, text, len) == 0);
	free(again);
}

static void
subject_is_sound(const KvTokenSubject *subject)
{
	size_t		user_len = strlen(subject->user_id);

	require(user_len >= 1 && user_len <= KV_TOKEN_USER_MAX);
	require(strncmp(subject->user_id, "team:", 5) != 0);
	require(strncmp(subject->team_id, "team:", 5) != 0);
	require(!subject->team_admin || subject->team_id[0] != '\0');
	require(subject->not_after > NOW);
	require(kv_token_subject_valid(subject, NOW) == KV_TOKEN_OK);
	require(kv_token_subject_valid(subject, subject->not_after) != KV_TOKEN_OK);
	require(kv_token_subject_valid(subject, subject->not_after - 1) == KV_TOKEN_OK);
}

static void
take(const char *text, size_t len, const KvKeySet *set)
{
	KvToken    *token;
	KvTokenSubject subject;
	KvJws		jws;
	uint8_t    *payload;
	size_t		payload_len;
	KvTokenFault parts = kv_jws_parse(text, len, &jws, &payload, &payload_len);
	KvTokenFault fault = kv_token_parse(text, len, &token);

	require((parts == KV_TOKEN_OK) == (payload != NULL));
	require(parts == KV_TOKEN_OK || parts == fault);
	if (parts == KV_TOKEN_OK)
		payload_stands_there(text, len, payload, payload_len);
	kv_jose_free(payload);
	kv_jws_clear(&jws);

	require((fault == KV_TOKEN_OK) == (token != NULL));
	if (fault == KV_TOKEN_OK)
	{
		fault = kv_token_verify(token, set);
		if (fault == KV_TOKEN_OK)
			was_signed(text, len);
		require(fault == KV_TOKEN_OK || kv_token_check(token, &rules, NOW, &subject) == KV_TOKEN_SIGNATURE);
	}
	if (fault == KV_TOKEN_OK && kv_token_check(token, &rules, NOW, &subject) == KV_TOKEN_OK)
		subject_is_sound(&subject);
	kv_token_free(token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static KvKeySet *set;
	const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
	size_t		len = size;
	size_t		number;
	char	   *text;

	if (set == NULL)
		require(kv_key_set_parse(SET, strlen(SET), &set, &number) == KV_KEYS_OK);
	if (line_end != NULL)
		text = sign_texts(data, (size_t) (line_end - data), size, &len);
	else
	{
		text = malloc(size > 0 ? size : 1);
		memcpy(text, data, size);
	}
	take(text, len, set);
	free(text);
	return 0;
}
