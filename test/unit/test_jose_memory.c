/*
 * test_jose_memory.c
 *		Nothing of a token and no secret stays in freed memory, and none is lost.
 *
 * All memory of the process comes from an arena of ours that never gives a byte twice:
 * that of jansson, libjose, libcrypto and libc, too.  So what stays behind anywhere can
 * be found.  Built without sanitizers, which have an allocator of their own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "jose/memory.h"
#include "jose_maker.h"
#include "tap.h"

#define ARENA_SIZE	(256u << 20)
#define HEADER_LEN	16

static unsigned char arena[ARENA_SIZE] __attribute__((aligned(16)));
static size_t arena_used;
static size_t blocks;			/* that are not freed */
static long allocations_left = -1;	/* fails when it gets to 0 */

void *
malloc(size_t size)
{
	size_t		room = (size + HEADER_LEN + 15) & ~(size_t) 15;
	unsigned char *block = arena + arena_used;

	if (allocations_left == 0 || room < size || room > ARENA_SIZE - arena_used)
	{
		errno = ENOMEM;
		return NULL;
	}
	if (allocations_left > 0)
		allocations_left--;
	arena_used += room;
	blocks++;
	memcpy(block, &size, sizeof(size));
	return block + HEADER_LEN;
}

size_t
malloc_usable_size(void *block)
{
	size_t		size;

	memcpy(&size, (unsigned char *) block - HEADER_LEN, sizeof(size));
	return size;
}

void
free(void *block)
{
	if (block != NULL)
		blocks--;
}

void *
calloc(size_t count, size_t size)
{
	/* The arena is zero until it is used */
	return count != 0 && size > SIZE_MAX / count ? NULL : malloc(count * size);
}

void *
realloc(void *old, size_t size)
{
	void	   *block;

	if (old == NULL)
		return malloc(size);
	block = malloc(size);
	if (block == NULL)
		return NULL;
	memcpy(block, old, malloc_usable_size(old) < size ? malloc_usable_size(old) : size);
	free(old);
	return block;
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	(void) alignment;
	return malloc(size);
}

/* Whether 16 bytes in a row of a text stand anywhere in what was allocated since mark. */
static bool
arena_holds(size_t mark, const void *text, size_t len)
{
	for (size_t at = 0; at + 16 <= len; at++)
		if (memmem(arena + mark, arena_used - mark, (const char *) text + at, 16) != NULL)
			return true;
	return false;
}

static char token[8000];		/* of the test at hand, outside the arena */
static char encoded_secret[100];

#define LONG_CLAIMS	"{\"iss\":\"https://issuer.of.a.long.name\",\"aud\":[\"another_audience_of_ours\",\"app\"]," \
	"\"sub\":\"a_user_of_a_very_long_name\",\"iat\":1699999990,\"exp\":1700000600,\"x\":{\"y\":[\"more text than sixteen\"]}}"

/* Whether something of the token stands there, as text or decoded. */
static bool
arena_holds_token(size_t mark)
{
	const char *dot = strchr(token, '.');
	const char *last = strrchr(token, '.');

	return arena_holds(mark, token, strlen(token)) ||
		arena_holds(mark, LONG_CLAIMS, strlen(LONG_CLAIMS)) ||
		arena_holds(mark, "a_user_of_a_very_long_name", 26) ||
		arena_holds(mark, "more text than sixteen", 22) || dot == NULL || last == NULL;
}

static void
take_token(char *text)
{
	strcpy(token, text);
	free(text);
}

/* A character of base64url that it was not before. */
static void
change(char *character)
{
	*character = *character == 'A' ? 'B' : 'A';
}

static KvKeySet *sets[4];
static json_t *keys[4];
static const char *const algorithms[4] = {"HS256", "RS256", "ES256", "PS256"};

static char *
header_of(int i)
{
	static char header[80];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"an_id_of_a_long_name\"}", algorithms[i]);
	return header;
}

static KvTokenFault
authenticate(const KvKeySet *set)
{
	KvTokenSubject subject;
	KvTokenFault fault = authenticate_bytes(token, strlen(token), set, &app_rules, &subject);

	OPENSSL_cleanse(&subject, sizeof(subject));
	return fault;
}

/* Otherwise the tests below could not fail. */
static void
the_arena_shows_what_stays(void)
{
	size_t		mark = arena_used;
	char	   *copy;

	take_token(signed_by(keys[0], header_of(0), LONG_CLAIMS));
	mark = arena_used;
	check(!arena_holds_token(mark));
	copy = strdup(token);
	free(copy);
	check(arena_holds_token(mark));
	mark = arena_used;
	copy = strdup(token);
	kv_jose_free(copy);
	check(!arena_holds_token(mark));
}

static void
nothing_of_a_token_stays(void)
{
	for (int i = 0; i < 4; i++)
	{
		size_t		mark;
		size_t		before;

		take_token(signed_by(keys[i], header_of(i), LONG_CLAIMS));
		mark = arena_used;
		before = blocks;
		check(authenticate(sets[i]) == KV_TOKEN_OK);
		check(!arena_holds_token(mark));
		check(blocks == before);

		/* a signature that does not match */
		change(&token[strlen(token) - 5]);
		check(authenticate(sets[i]) == KV_TOKEN_SIGNATURE);
		check(!arena_holds_token(mark));
		/* somebody else's key */
		check(authenticate(sets[(i + 1) % 4]) == KV_TOKEN_KEY_ALGORITHM);
		check(!arena_holds_token(mark));
		check(blocks == before);
	}
}

static void
nothing_stays_of_one_that_is_refused_early(void)
{
	static const char *const texts[][2] = {
		{"{\"alg\":\"HS256\",\"more\":\"more text than sixteen\"", LONG_CLAIMS},
		{"{\"alg\":\"HS256\",\"alg\":\"more text than sixteen\"}", LONG_CLAIMS},
		{"{\"alg\":\"HS256\"}", "{\"sub\":\"a_user_of_a_very_long_name\",\"sub\":\"a_user_of_a_very_long_name\"}"},
		{"{\"alg\":\"HS256\"}", "{\"sub\":\"a_user_of_a_very_long_name\" \"more text than sixteen\""},
		{"{\"alg\":\"HS256\"}", "{\"sub\":\"a_user_of_a_very_long_name\xff\"}"},
		{"{\"alg\":\"HS256\"}", "{\"sub\":\"a_user_of_a_very_long_name\",\"x\":[[[[[[[[[[[[[[[[[[[[[[["},
		{"{\"alg\":\"none\"}", LONG_CLAIMS},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		size_t		mark;
		size_t		before;

		take_token(hs256(texts[i][0], texts[i][1]));
		mark = arena_used;
		before = blocks;
		check(authenticate(sets[0]) != KV_TOKEN_OK);
		check(!arena_holds_token(mark));
		check(blocks == before);

		/* a stray character at the end of each part */
		token[strlen(token) - 1] = '=';
		check(authenticate(sets[0]) != KV_TOKEN_OK);
		*strrchr(token, '.') = '=';
		check(authenticate(sets[0]) != KV_TOKEN_OK);
		check(!arena_holds_token(mark));
		check(blocks == before);
	}
}

static char set_json[2000];

static void
nothing_of_a_secret_stays(void)
{
	static const char *const sets_text[] = {
		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"%s\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"%s\"},{\"kty\":\"oct\",\"k\":\"AA\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS512\",\"kid\":\"one\",\"k\":\"%s\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"%s\"}]",
		"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"%s=\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"%s\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\",\"k\":\"%1$s\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\" \"%1$s\"}]}",
	};

	take_token(hs256_claims(LONG_CLAIMS));
	for (size_t i = 0; i < sizeof(sets_text) / sizeof(sets_text[0]); i++)
	{
		size_t		mark;
		size_t		before;
		KvKeySet   *set;
		size_t		number;

		snprintf(set_json, sizeof(set_json), sets_text[i], encoded_secret);
		mark = arena_used;
		before = blocks;
		check((kv_key_set_parse(set_json, strlen(set_json), &set, &number) == KV_KEYS_OK) == (i == 0));
		if (i == 0)
		{
			check(arena_holds(mark, encoded_secret, strlen(encoded_secret)));
			check(authenticate(set) == KV_TOKEN_OK);
			change(&token[strlen(token) - 5]);
			check(authenticate(set) == KV_TOKEN_SIGNATURE);
		}
		kv_key_set_free(set);
		check(!arena_holds(mark, encoded_secret, strlen(encoded_secret)));
		check(!arena_holds(mark, SECRET, strlen(SECRET)));
		check(!arena_holds_token(mark));
		check(blocks == before);
	}
}

/* The first allocation fails, then the second, ... until all is well. */
static void
when_memory_runs_out_a_token_is_refused(void)
{
	for (int i = 0; i < 4; i++)
	{
		KvTokenFault fault = KV_TOKEN_NO_MEMORY;
		long		n = 0;

		take_token(signed_by(keys[i], header_of(i), LONG_CLAIMS));
		for (; n < 2000 && fault != KV_TOKEN_OK; n++)
		{
			size_t		mark = arena_used;
			size_t		before = blocks;

			allocations_left = n;
			fault = authenticate(sets[i]);
			allocations_left = -1;
			check(ERR_peek_error() == 0);
			check(blocks == before);
			check(!arena_holds_token(mark));
		}
		check(fault == KV_TOKEN_OK);
		check(n > 20);
	}
}

static void
when_memory_runs_out_a_set_is_refused(void)
{
	for (int i = 0; i < 4; i++)
	{
		json_t	   *public = public_key(keys[i]);
		char	   *text = set_text(public, NULL);
		KvKeySetFault fault = KV_KEYS_NO_MEMORY;
		long		n = 0;

		strcpy(set_json, text);
		free(text);
		json_decref(public);
		for (; n < 2000 && fault != KV_KEYS_OK; n++)
		{
			KvKeySet   *set;
			size_t		number;
			size_t		before = blocks;

			allocations_left = n;
			fault = kv_key_set_parse(set_json, strlen(set_json), &set, &number);
			allocations_left = -1;
			check((set != NULL) == (fault == KV_KEYS_OK));
			kv_key_set_free(set);
			check(ERR_peek_error() == 0);
			check(blocks == before);
		}
		check(fault == KV_KEYS_OK);
		check(n > 10);
	}
}

int
main(void)
{
	char	   *secret;

	if (!kv_jose_ready())
	{
		puts("Bail out! jansson has another allocator");
		return 1;
	}
	secret = base64url(SECRET, strlen(SECRET));
	strcpy(encoded_secret, secret);
	free(secret);
	for (int i = 0; i < 4; i++)
	{
		keys[i] = private_key(algorithms[i], "an_id_of_a_long_name");
		sets[i] = set_of(keys[i]);
		/* so that what libcrypto keeps is there */
		take_token(signed_by(keys[i], header_of(i), LONG_CLAIMS));
		if (authenticate(sets[i]) != KV_TOKEN_OK)
			return 1;
	}
	run(the_arena_shows_what_stays);
	run(nothing_of_a_token_stays);
	run(nothing_stays_of_one_that_is_refused_early);
	run(nothing_of_a_secret_stays);
	run(when_memory_runs_out_a_token_is_refused);
	run(when_memory_runs_out_a_set_is_refused);
	return finish();
}
