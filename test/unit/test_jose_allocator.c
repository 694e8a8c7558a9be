/*
 * test_jose_allocator.c
 *		One process has one allocator for jansson: ours, or tokens are refused.
 */
#define _GNU_SOURCE
#include "jose/memory.h"
#include "jose_maker.h"
#include "tap.h"

static void *
their_malloc(size_t size)
{
	char	   *block = malloc(size + 16);

	return block == NULL ? NULL : block + 16;
}

static void
their_free(void *block)
{
	if (block != NULL)
		free((char *) block - 16);
}

/* What their_malloc() gives our free could not take. */
static void
another_allocator_is_left_alone(void)
{
	json_malloc_t allocate;
	json_free_t release;
	KvKeySet   *set;
	KvToken    *token;
	size_t		number;

	json_set_alloc_funcs(their_malloc, their_free);
	check(!kv_jose_ready());
	check(kv_token_parse("e30.e30.AA", 10, &token) == KV_TOKEN_LIBRARY && token == NULL);
	check(kv_key_set_parse("{}", 2, &set, &number) == KV_KEYS_LIBRARY && set == NULL);
	json_get_alloc_funcs(&allocate, &release);
	check(allocate == their_malloc && release == their_free);
	json_set_alloc_funcs(malloc, free);
}

/* Blocks from before are freed by ours, and wiped. */
static void
blocks_from_before_stay_valid(void)
{
	json_t	   *before = json_pack("{s:s}", "a", "a text of more than some bytes");
	char	   *text;

	check(kv_jose_ready());
	text = json_dumps(before, 0);
	check(strcmp(text, "{\"a\": \"a text of more than some bytes\"}") == 0);
	json_object_set_new(before, "b", json_true());
	json_decref(before);
	kv_jose_free(text);
	check(kv_jose_ready());
}

static void
an_allocator_that_comes_later_is_seen(void)
{
	KvKeySet   *set = secret_set();
	char	   *text = hs256_claims(CLAIMS);
	KvTokenSubject subject;

	check(authenticate_bytes(text, strlen(text), set, &app_rules, &subject) == KV_TOKEN_OK);
	json_set_alloc_funcs(their_malloc, their_free);
	check(authenticate_bytes(text, strlen(text), set, &app_rules, &subject) == KV_TOKEN_LIBRARY);
	json_set_alloc_funcs(malloc, free);
	check(authenticate_bytes(text, strlen(text), set, &app_rules, &subject) == KV_TOKEN_OK);
	kv_key_set_free(set);
	free(text);
}

int
main(void)
{
	run(another_allocator_is_left_alone);
	run(blocks_from_before_stay_valid);
	run(an_allocator_that_comes_later_is_seen);
	return finish();
}
