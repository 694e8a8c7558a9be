/*
 * test_jose_rfc.c
 *		The examples of RFC 7515, RFC 7517 and RFC 7520, each with what we make of it.
 */
#define _GNU_SOURCE
#include "jose/compact.h"
#include "jose/memory.h"
#include "jose_maker.h"
#include "tap.h"

#define EXAMPLES	26

/* What is made of a text that its key signed, or of the keys alone. */
static const char *
result_of(const json_t *example)
{
	json_t	   *keys = json_pack("{s:O}", "keys", json_object_get(example, "keys"));
	const char *text = json_string_value(json_object_get(example, "jws"));
	char	   *json = json_dumps(keys, JSON_COMPACT);
	KvKeySet   *set;
	size_t		number;
	KvKeySetFault keys_fault = kv_key_set_parse(json, strlen(json), &set, &number);
	KvTokenFault fault = KV_TOKEN_OK;

	if (set != NULL && text != NULL)
	{
		KvJws		jws;
		uint8_t    *payload;
		size_t		len;

		fault = kv_jws_parse(text, strlen(text), &jws, &payload, &len);
		if (fault == KV_TOKEN_OK)
			fault = kv_jws_verify(&jws, set);
		kv_jose_free(payload);
		kv_jws_clear(&jws);
	}
	kv_key_set_free(set);
	kv_jose_free(json);
	json_decref(keys);
	if (keys_fault != KV_KEYS_OK)
		return kv_key_set_fault_text(keys_fault);
	return fault == KV_TOKEN_OK ? "valid" : kv_token_fault_text(fault);
}

static void
examples_have_their_results(void)
{
	json_t	   *examples = json_load_file("rfc/examples.json", 0, NULL);

	check(json_array_size(examples) == EXAMPLES);
	for (size_t i = 0; i < json_array_size(examples); i++)
	{
		const json_t *example = json_array_get(examples, i);
		const char *expected = json_string_value(json_object_get(example, "result"));
		const char *result = result_of(example);

		if (!check(strcmp(result, expected) == 0))
			printf("# %s: %s\n", json_string_value(json_object_get(example, "name")), result);
	}
	json_decref(examples);
}

/* RFC 7519 section 3.1 is RFC 7515 A.1, a JWT: of 2011, and without iat. */
static void
the_example_of_a_jwt_is_read(void)
{
	json_t	   *examples = json_load_file("rfc/examples.json", 0, NULL);
	const char *text = json_string_value(json_object_get(json_array_get(examples, 0), "jws"));
	KvToken    *token;
	const char *issuer;
	size_t		len;

	require(kv_token_parse(text, strlen(text), &token) == KV_TOKEN_OK);
	check(kv_token_issuer(token, &issuer, &len) == KV_TOKEN_OK);
	check(strcmp(issuer, "joe") == 0 && len == 3);
	kv_token_free(token);
	json_decref(examples);
}

int
main(void)
{
	if (!kv_jose_ready())
	{
		puts("Bail out! jansson has another allocator");
		return 1;
	}
	run(examples_have_their_results);
	run(the_example_of_a_jwt_is_read);
	return finish();
}
