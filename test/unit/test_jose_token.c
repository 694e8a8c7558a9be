/*
 * test_jose_token.c
 *		What a token's text must be like, before any key is looked at.
 */
#define _GNU_SOURCE
#include "jose/compact.h"
#include "jose/strict_json.h"
#include "jose_maker.h"
#include "tap.h"

#define HEADER	"{\"alg\":\"HS256\",\"kid\":\"one\"}"

static KvKeySet *set;

/* The outcome of a text, which is given without a NUL behind it, so that a sanitizer sees what reads on. */
static KvTokenFault
bytes(const char *text, size_t len)
{
	char	   *copy = malloc(len == 0 ? 1 : len);
	KvTokenSubject subject;
	KvTokenFault fault;

	memcpy(copy, text, len);
	fault = authenticate_bytes(copy, len, set, &app_rules, &subject);
	check((fault == KV_TOKEN_OK) == (subject.user_id[0] != '\0'));
	free(copy);
	return fault;
}

static KvTokenFault
text(const char *token)
{
	return bytes(token, strlen(token));
}

static KvTokenFault
header(const char *json)
{
	return outcome(hs256(json, CLAIMS), set);
}

static KvTokenFault
payload(const char *json)
{
	return outcome(hs256(HEADER, json), set);
}

static void
the_form_is_compact(void)
{
	char	   *good = hs256(HEADER, CLAIMS);
	char	   *other;

	check(text(good) == KV_TOKEN_OK);
	check(text("") == KV_TOKEN_NOT_COMPACT);
	check(text(".") == KV_TOKEN_NOT_COMPACT);
	check(text("..") == KV_TOKEN_NOT_COMPACT);
	check(text("...") == KV_TOKEN_NOT_COMPACT);
	check(text("....") == KV_TOKEN_ENCRYPTED);
	check(text(".....") == KV_TOKEN_NOT_COMPACT);
	check(text("a.b.c.d.e") == KV_TOKEN_ENCRYPTED);
	check(text("{\"payload\":\"\",\"signatures\":[]}") == KV_TOKEN_NOT_COMPACT);

	for (int i = 0; i < 6; i++)
	{
		static const char *const around[6][2] = {
			{"", "."}, {".", ""}, {"", ".x"}, {" ", ""}, {"", "\n"}, {"Bearer ", ""}
		};

		if (asprintf(&other, "%s%s%s", around[i][0], good, around[i][1]) < 0)
			return;
		check(text(other) != KV_TOKEN_OK);
		free(other);
	}
	/* a NUL and what is behind it are part of the text */
	check(bytes(good, strlen(good) + 1) == KV_TOKEN_BASE64URL);
	free(good);
}

static void
sixteen_kibibytes_are_the_most(void)
{
	size_t		len = KV_TOKEN_MAX * 2;
	char	   *dots = malloc(len);
	char	   *claims;

	memset(dots, '.', len);
	check(bytes(dots, KV_TOKEN_MAX + 1) == KV_TOKEN_TOO_LONG);
	check(bytes(dots, KV_TOKEN_MAX) == KV_TOKEN_NOT_COMPACT);
	memset(dots, 'A', len);
	check(bytes(dots, KV_TOKEN_MAX) == KV_TOKEN_NOT_COMPACT);
	free(dots);

	/* 43 of signature, 36 of header, two dots: the rest is the payload's */
	for (int more = 0; more < 2; more++)
	{
		int			room = (KV_TOKEN_MAX - 43 - 36 - 2) / 4 * 3 - (int) strlen(CLAIMS) + more * 3;
		char	   *token;

		if (asprintf(&claims, "%s%*s", CLAIMS, room, "") < 0)
			return;
		token = hs256(HEADER, claims);
		check(text(token) == (strlen(token) <= KV_TOKEN_MAX ? KV_TOKEN_OK : KV_TOKEN_TOO_LONG));
		check((strlen(token) > KV_TOKEN_MAX) == (more == 1));
		free(token);
		free(claims);
	}
}

/* Each part in each way that a lax decoder lets pass. */
static void
parts_are_canonical_base64url(void)
{
	char	   *good = hs256(HEADER, CLAIMS);
	size_t		len = strlen(good);
	char	   *first_dot = strchr(good, '.');
	size_t		places[3] = {0, (size_t) (first_dot - good) + 1, (size_t) (strrchr(good, '.') - good) + 1};

	for (int part = 0; part < 3; part++)
	{
		for (int c = 0; c < 256; c++)
		{
			char	   *other = malloc(len + 1);

			/* inserted */
			memcpy(other, good, places[part]);
			other[places[part]] = (char) c;
			memcpy(other + places[part] + 1, good + places[part], len - places[part]);
			check(bytes(other, len + 1) != KV_TOKEN_OK);
			free(other);
		}
	}
	free(good);

	check(text("e30=.e30.AA") == KV_TOKEN_BASE64URL);
	check(text("e30.e30=.AA") != KV_TOKEN_OK);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.AA==") == KV_TOKEN_BASE64URL);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.A") == KV_TOKEN_BASE64URL);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.AB") == KV_TOKEN_BASE64URL);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.AAB") == KV_TOKEN_BASE64URL);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.A+/A") == KV_TOKEN_BASE64URL);
	check(text("eyJhbGciOiJIUzI1NiJ9.e30.A-_A") == KV_TOKEN_ISSUER);
}

static void
the_header_is_one_object(void)
{
	static const char *const others[] = {
		"", "[]", "null", "\"x\"", "7", "{", "{}{}", "{\"alg\":\"HS256\",\"kid\":\"one\"} x",
		"{\"alg\":\"HS256\",\"kid\":\"one\"},", "\xef\xbb\xbf{\"alg\":\"HS256\",\"kid\":\"one\"}",
		"{\"alg\":\"HS256\",\"kid\":\"o\xffne\"}", "{\"alg\":\"HS256\",\"kid\":\"o\xc0\xaene\"}",
		"{\"alg\":\"HS256\",\"kid\":\"one\\u0000\"}", "{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}",
		"{'alg':'HS256'}", "{\"alg\":\"HS256\",}", "{\"alg\":\"HS256\",\"x\":1e999}",
		"{\"alg\":\"HS256\",\"x\":99999999999999999999}", "{\"alg\":\"HS256\",\"x\":01}", "{\"alg\":\"HS256\",\"x\":NaN}",
		"{\"alg\":\"HS256\" /* c */}", "{\"kid\":\"one\"}", "{\"alg\":7}", "{\"alg\":null}", "{\"alg\":[\"HS256\"]}",
		"{\"alg\":\"HS256\",\"kid\":7}", "{\"alg\":\"HS256\",\"kid\":null}", "{\"alg\":\"HS256\",\"kid\":[\"one\"]}",
		"{\"ALG\":\"HS256\"}"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		KvTokenFault fault = header(others[i]);

		if (!check(fault == (others[i][0] == '\0' ? KV_TOKEN_NOT_COMPACT : KV_TOKEN_HEADER)))
			printf("# %s: %s\n", others[i], kv_token_fault_text(fault));
	}
	check(outcome(hs256_bytes("{\"alg\":\"HS256\"}\0", 16, CLAIMS, strlen(CLAIMS), SECRET, strlen(SECRET)), set) == KV_TOKEN_HEADER);
	check(header(" {\"typ\" : \"JWT\",\n\"alg\":\"HS256\",\"kid\":\"one\"}\r\n\t ") == KV_TOKEN_OK);
	check(header("{\"\\u0061lg\":\"HS256\",\"kid\":\"\\u006fne\"}") == KV_TOKEN_OK);
}

static void
nothing_stands_twice(void)
{
	check(header("{\"alg\":\"HS256\",\"alg\":\"HS256\",\"kid\":\"one\"}") == KV_TOKEN_DUPLICATE);
	check(header("{\"alg\":\"none\",\"alg\":\"HS256\"}") == KV_TOKEN_DUPLICATE);
	check(header("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}") == KV_TOKEN_DUPLICATE);
	check(header("{\"alg\":\"HS256\",\"\\u0061\\u006C\\u0067\":\"HS256\"}") == KV_TOKEN_DUPLICATE);
	check(header("{\"alg\":\"HS256\",\"x\":{\"a\":1,\"a\":2}}") == KV_TOKEN_DUPLICATE);
	check(header("{\"alg\":\"HS256\",\"x\":[[{\"a\":1,\"a\":1}]]}") == KV_TOKEN_DUPLICATE);
	check(payload("{\"sub\":\"user_a\",\"sub\":\"user_b\"}") == KV_TOKEN_DUPLICATE);
	check(payload("{\"sub\":\"user_a\",\"s\\u0075b\":\"user_b\"}") == KV_TOKEN_DUPLICATE);
	check(payload("{\"a\":{\"b\":[{\"c\":1,\"c\":2}]}}") == KV_TOKEN_DUPLICATE);
}

static void
json_is_not_deep(void)
{
	char		json[KV_TOKEN_MAX];

	for (int depth = KV_JSON_DEPTH_MAX; depth <= KV_JSON_DEPTH_MAX + 1; depth++)
	{
		/* the object is the first level */
		snprintf(json, sizeof(json), "{\"alg\":\"HS256\",\"kid\":\"one\",\"x\":%.*s%.*s}", depth - 1,
				 "[[[[[[[[[[[[[[[[[[[[", depth - 1, "]]]]]]]]]]]]]]]]]]]]");
		check(header(json) == (depth <= KV_JSON_DEPTH_MAX ? KV_TOKEN_OK : KV_TOKEN_TOO_DEEP));
		snprintf(json, sizeof(json), "{\"x\":%.*s%.*s}", depth - 1,
				 "[[[[[[[[[[[[[[[[[[[[", depth - 1, "]]]]]]]]]]]]]]]]]]]]");
		check(payload(json) == (depth <= KV_JSON_DEPTH_MAX ? KV_TOKEN_ISSUER : KV_TOKEN_TOO_DEEP));
	}
	memset(json, '[', 8000);
	json[8000] = '\0';
	check(header(json) == KV_TOKEN_TOO_DEEP);
	check(payload(json) == KV_TOKEN_TOO_DEEP);
	memset(json, '{', 8000);
	check(payload(json) == KV_TOKEN_TOO_DEEP);

	/* brackets in texts are none, and a quote that is escaped ends no text */
	check(header("{\"alg\":\"HS256\",\"kid\":\"one\",\"x\":\"[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[\"}") == KV_TOKEN_OK);
	check(header("{\"alg\":\"HS256\",\"x\":\"\\\"\",\"y\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}") == KV_TOKEN_TOO_DEEP);
	check(header("{\"alg\":\"HS256\",\"x\":\"\\\\\",\"y\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}") == KV_TOKEN_TOO_DEEP);
}

static void
the_algorithm_is_one_of_ours(void)
{
	static const char *const none[] = {"none", "None", "NONE", "nOnE"};
	static const char *const others[] = {
		"", "hs256", "HS256 ", "HS25", "HS2566", "HS224", "EdDSA", "ES256K", "RS1", "RS256\\n", "dir", "A256GCM", "RSA-OAEP"
	};
	char		json[100];

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
	{
		snprintf(json, sizeof(json), "{\"alg\":\"%s\"}", none[i]);
		check(header(json) == KV_TOKEN_UNSIGNED);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		snprintf(json, sizeof(json), "{\"alg\":\"%s\"}", others[i]);
		check(header(json) == KV_TOKEN_ALGORITHM);
	}
	check(text("eyJhbGciOiJub25lIn0.e30.") == KV_TOKEN_UNSIGNED);
	check(header("{\"alg\":\"HS256\",\"kid\":\"one\",\"crit\":[\"exp\"],\"exp\":1}") == KV_TOKEN_CRITICAL);
	check(header("{\"alg\":\"HS256\",\"kid\":\"one\",\"crit\":[]}") == KV_TOKEN_CRITICAL);
	check(header("{\"alg\":\"HS256\",\"kid\":\"one\",\"crit\":null}") == KV_TOKEN_CRITICAL);
	check(header("{\"alg\":\"HS256\",\"kid\":\"one\",\"b64\":false,\"crit\":[\"b64\"]}") == KV_TOKEN_CRITICAL);
	check(header("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}") == KV_TOKEN_ENCRYPTED);
	check(header("{\"alg\":\"HS256\",\"enc\":null}") == KV_TOKEN_ENCRYPTED);
}

static void
the_claims_are_one_object(void)
{
	static const char *const others[] = {
		"", "[]", "null", "\"x\"", "7", "foo", "{", "{}x", "{} {}", "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}",
		"{\"exp\":1e999}", "{\"exp\":99999999999999999999999}", "{\"a\":\"\t\"}", "{\"sub\":\"a\\u0000b\"}"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!check(payload(others[i]) == KV_TOKEN_CLAIMS))
			printf("# %s\n", others[i]);
	/* a token in a token */
	check(payload("eyJhbGciOiJIUzI1NiJ9.e30.AA") == KV_TOKEN_CLAIMS);
}

/* A changed byte anywhere is another text, other claims, or another signature. */
static void
every_byte_counts(void)
{
	char	   *good = hs256(HEADER, CLAIMS);
	size_t		len = strlen(good);

	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++)
		{
			good[i] ^= (char) (1 << bit);
			check(bytes(good, len) != KV_TOKEN_OK);
			good[i] ^= (char) (1 << bit);
		}
	for (size_t i = 0; i < len; i++)
		check(bytes(good, i) != KV_TOKEN_OK);
	check(bytes(good, len) == KV_TOKEN_OK);
	free(good);
}

int
main(void)
{
	set = secret_set();
	run(the_form_is_compact);
	run(sixteen_kibibytes_are_the_most);
	run(parts_are_canonical_base64url);
	run(the_header_is_one_object);
	run(nothing_stands_twice);
	run(json_is_not_deep);
	run(the_algorithm_is_one_of_ours);
	run(the_claims_are_one_object);
	run(every_byte_counts);
	kv_key_set_free(set);
	return finish();
}
