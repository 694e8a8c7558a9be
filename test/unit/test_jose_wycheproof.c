/*
 * test_jose_wycheproof.c
 *		Project Wycheproof's signatures and keys, each with the result that it expects.
 *
 * The vectors sign no claims, so this asks of signatures only.  What is refused though
 * Wycheproof takes it is listed here, and must be exactly that.
 */
#include <stdlib.h>
#include <string.h>

#include "jose/compact.h"
#include "jose/memory.h"
#include "tap.h"

typedef struct Exception
{
	int			id;				/* tcId */
	KvTokenFault fault;
	KvKeySetFault keys;
	const char *why;
} Exception;

/* Valid for Wycheproof, refused by us. */
static const Exception signature_exceptions[] = {
	{346, KV_TOKEN_KEY_ALGORITHM, KV_KEYS_OK, "a PS384 token, and a key whose alg says PS256"},
	{347, KV_TOKEN_OK, KV_KEYS_NONE, "a key whose alg says ES521, which there is not"},
	{350, KV_TOKEN_KEY_ALGORITHM, KV_KEYS_OK, "as 346, with key_ops"},
	{351, KV_TOKEN_OK, KV_KEYS_NONE, "as 347, with key_ops"},
	{372, KV_TOKEN_BASE64URL, KV_KEYS_OK, "a question mark in the header's base64"},
	{373, KV_TOKEN_BASE64URL, KV_KEYS_OK, "a question mark in the payload's base64"},
};

static const Exception no_exceptions[] = {{0}};

/* Invalid for Wycheproof, and the very text that it calls valid as number 357. */
static const int same_as_357[] = {367, 370};

typedef struct Totals
{
	int			valid_taken;
	int			invalid_refused;
	int			exceptions;
	int			contradictions;
	int			wrong;
} Totals;

static const Exception *
exception_for(const Exception *exceptions, size_t count, int id)
{
	for (size_t i = 0; i < count; i++)
		if (exceptions[i].id == id)
			return &exceptions[i];
	return NULL;
}

/* The group's public key or keys, or its secret; a key becomes a set of one. */
static char *
keys_of(const json_t *group)
{
	json_t	   *keys = json_object_get(group, "public");
	json_t	   *set;
	char	   *text;

	if (keys == NULL)
		keys = json_object_get(group, "private");
	set = json_object_get(keys, "keys") != NULL ? json_incref(keys) :
		json_pack("{s:[O]}", "keys", keys);
	text = json_dumps(set, JSON_COMPACT);
	json_decref(set);
	return text;
}

static KvTokenFault
verify(const char *text, const KvKeySet *set)
{
	KvJws		jws;
	uint8_t    *payload;
	size_t		len;
	KvTokenFault fault = kv_jws_parse(text, strlen(text), &jws, &payload, &len);

	if (fault == KV_TOKEN_OK)
		fault = kv_jws_verify(&jws, set);
	kv_jose_free(payload);
	kv_jws_clear(&jws);
	return fault;
}

/* Whether the file says valid and invalid of one text under one key. */
static bool
contradicts(const json_t *tests, int id, const char *jws)
{
	if (id != same_as_357[0] && id != same_as_357[1])
		return false;
	for (size_t i = 0; i < json_array_size(tests); i++)
	{
		const json_t *test = json_array_get(tests, i);

		if (json_integer_value(json_object_get(test, "tcId")) == 357)
			return strcmp(json_string_value(json_object_get(test, "jws")), jws) == 0;
	}
	return false;
}

static void
run_test(const json_t *tests, const json_t *test, const KvKeySet *set, KvKeySetFault keys,
		 const Exception *exceptions, size_t count, Totals *totals)
{
	int			id = (int) json_integer_value(json_object_get(test, "tcId"));
	const char *jws = json_string_value(json_object_get(test, "jws"));
	bool		valid = strcmp(json_string_value(json_object_get(test, "result")), "valid") == 0;
	const Exception *exception = exception_for(exceptions, count, id);
	KvTokenFault fault = set == NULL ? KV_TOKEN_OK : verify(jws, set);
	bool		taken = set != NULL && fault == KV_TOKEN_OK;

	if (exception != NULL && valid && !taken && fault == exception->fault && keys == exception->keys)
		totals->exceptions++;
	else if (exception == NULL && valid && taken)
		totals->valid_taken++;
	else if (exception == NULL && !valid && !taken)
		totals->invalid_refused++;
	else if (!valid && taken && contradicts(tests, id, jws))
		totals->contradictions++;
	else
	{
		printf("# tcId %d is %s: %s; %s\n", id, valid ? "valid" : "invalid",
			   kv_key_set_fault_text(keys), kv_token_fault_text(fault));
		totals->wrong++;
	}
}

static Totals
run_file(const char *path, const Exception *exceptions, size_t count)
{
	Totals		totals = {0};
	json_t	   *file = json_load_file(path, 0, NULL);
	json_t	   *groups = json_object_get(file, "testGroups");
	size_t		i;
	json_t	   *group;

	json_array_foreach(groups, i, group)
	{
		char	   *text = keys_of(group);
		KvKeySet   *set;
		size_t		number;
		KvKeySetFault fault = kv_key_set_parse(text, strlen(text), &set, &number);
		size_t		j;
		json_t	   *test;

		json_array_foreach(json_object_get(group, "tests"), j, test)
			run_test(json_object_get(group, "tests"), test, set, fault, exceptions, count, &totals);
		kv_key_set_free(set);
		kv_jose_free(text);
	}
	json_decref(file);
	printf("# %s: %d valid taken, %d invalid refused, %d valid refused as listed, %d contradicted\n", path,
		   totals.valid_taken, totals.invalid_refused, totals.exceptions, totals.contradictions);
	return totals;
}

static void
signatures_have_the_results_expected(void)
{
	size_t		count = sizeof(signature_exceptions) / sizeof(signature_exceptions[0]);
	Totals		totals = run_file("wycheproof/json_web_signature_test.json", signature_exceptions, count);

	check(totals.wrong == 0);
	check(totals.exceptions == (int) count);
	check(totals.contradictions == 2);
	check(totals.valid_taken == 40);
	check(totals.invalid_refused == 353);
}

static void
keys_have_the_results_expected(void)
{
	Totals		totals = run_file("wycheproof/json_web_key_test.json", no_exceptions, 0);

	check(totals.wrong == 0);
	check(totals.valid_taken == 5);
	check(totals.invalid_refused == 21);
}

int
main(void)
{
	if (!kv_jose_ready())
	{
		puts("Bail out! jansson has another allocator");
		return 1;
	}
	run(signatures_have_the_results_expected);
	run(keys_have_the_results_expected);
	return finish();
}
