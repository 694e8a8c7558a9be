/*
 * test_key_looks.c
 *		What is taken for a key or a token, what is not, and where it is found.
 */
#include <stdlib.h>
#include <string.h>

#include "format/key_looks.h"
#include "tap.h"

#define HEX32 "9f2c4e61a7b3d80512ce4f6a7b8c9d0e"
#define MIXED "aB3xK9mQ2zR7tY4wP8nL"
#define LETTERS "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"
#define HEADER "eyJhbGciOiJIUzI1NiJ9"
#define JWS HEADER ".eyJzdWIiOiJ1c2VyX2EifQ.c2lnbmF0dXJl"
#define JWE HEADER "..aXY.Y2lwaGVydGV4dA.dGFn"

#define PREFIX(literal) {literal, sizeof(literal) - 1}

static const KvKeyPrefix prefixes[] = {
	PREFIX("sk-"), PREFIX("sk-ant-"), PREFIX("AIza"), PREFIX("AQ."), PREFIX("hf_"),
	PREFIX("ck_"), PREFIX("fc-"), PREFIX("github_pat_"), PREFIX("9f2")
};

#define PREFIX_COUNT ((int) (sizeof(prefixes) / sizeof(prefixes[0])))

/* A copy of exactly len bytes, so that a read past its end is seen. */
static char *
exact_copy(const char *text, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, text, len);
	return copy;
}

static bool
is_key(const char *text)
{
	char	   *copy = exact_copy(text, strlen(text));
	bool		result = kv_looks_like_key(copy, strlen(text), prefixes, PREFIX_COUNT);

	free(copy);
	return result;
}

static bool
is_jwt(const char *text)
{
	char	   *copy = exact_copy(text, strlen(text));
	bool		result = kv_looks_like_jwt(copy, strlen(text));

	free(copy);
	return result;
}

/* Whether exactly this key is found in the text; NULL: none. */
static bool
finds(const char *text, const char *key)
{
	char	   *copy = exact_copy(text, strlen(text));
	size_t		start = 4711;
	size_t		len = 4712;
	bool		found = kv_find_key(copy, strlen(text), 0, prefixes, PREFIX_COUNT, &start, &len);
	bool		as_told = found ?
		key != NULL && len == strlen(key) && memcmp(copy + start, key, len) == 0 :
		key == NULL && start == 4711 && len == 4712;

	free(copy);
	return as_told;
}

static bool
finds_jwt(const char *text, const char *jwt)
{
	char	   *copy = exact_copy(text, strlen(text));
	size_t		start = 4711;
	size_t		len = 4712;
	bool		found = kv_find_jwt(copy, strlen(text), 0, &start, &len);
	bool		as_told = found ?
		jwt != NULL && len == strlen(jwt) && memcmp(copy + start, jwt, len) == 0 :
		jwt == NULL && start == 4711 && len == 4712;

	free(copy);
	return as_told;
}

static void
keys_look_like_keys(void)
{
	check(is_key("sk-" HEX32));
	check(is_key("sk-" MIXED));
	check(is_key("sk-proj-" MIXED "-" MIXED "_T3BlbkFJ" MIXED));
	check(is_key("sk-ant-api03-" MIXED "-" MIXED "AA"));
	check(is_key("AIzaSyB-0a1B2c3D4e5F6g7H8i9J0kLmNoPqRs"));
	check(is_key("AQ.Ab8RN6KxQ2zR7tY4wP8nLaB3xK9mQ2zR7tY4wP8nL"));
	check(is_key(LETTERS));
	check(is_key("ck_pub_" HEX32));
	check(is_key("fc-" HEX32));
	check(is_key("fc-9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0"));
	check(is_key("github_pat_11ABCDEFG0aB3xK9mQ2zR7_tY4wP8nLaB3xK9mQ2zR7tY4wP8nL"));
	/* As people write them who make one up */
	check(is_key("sk-0123456789abcdef0123456789abcdef"));
	check(is_key("sk-abcdef0123456789abcdef0123456789"));
	check(is_key("sk-1234567890abcdefghij"));
	/* What follows is not looked at */
	check(is_key("sk-" MIXED " (work)"));
	check(is_key("sk-" MIXED "\xc2\xa0"));
}

static void
names_do_not(void)
{
	check(!is_key("ck_users_email_lower"));
	check(!is_key("hf_hub_download_file"));
	check(!is_key("sk_learn_pipeline_step_2"));
	check(!is_key("sk-learn-pipeline-step-2-of-3"));
	check(!is_key("ck_orders_2024_q1_total_positive"));
	check(!is_key("ck_table1_col2_check3_name4"));
	check(!is_key("hf_model_v2_bert_base_768d"));
	check(!is_key("fc-firewall-rule-2024-01-15T10-20-30"));
	check(!is_key("ck_orders_20240115123000"));
	/* with the hash that tools put behind what is too long */
	check(!is_key("ck_users_email_lower_1a2b3c4d"));
	check(!is_key("ck_users_email_lower_1a2b3c4d5e6f"));
	check(!is_key("hf_DownloadModelFileToJSONCache"));
	check(!is_key("hf_HUB_DOWNLOAD_TIMEOUT_SECONDS"));
	check(!is_key("sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	check(!is_key("sk-11111111111111111111111111111111"));
	check(!is_key("ck_k8s_i18n_gpt4o_utf8mb4_only"));
	check(!is_key("sk-learn.datasets/fetch_20newsgroups.html"));
}

static void
others_do_not(void)
{
	check(!is_key(""));
	check(!is_key("sk-"));
	check(!is_key(MIXED MIXED));
	check(!is_key("SK-" HEX32));
	check(!is_key("task-" HEX32));
	check(!is_key(" sk-" HEX32));
	/* 19 bytes, and 20 */
	check(!is_key("sk-9f2c4e61a7b3d805"));
	check(is_key("sk-9f2c4e61a7b3d8051"));
	check(!is_key("sk-9f2c4e61 a7b3d80512ce4f6a7b8c9d0e"));
	/* A UUID, and what is longer */
	check(!is_key("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0"));
	check(!is_key("9F2C4E61-A7B3-4D80-912C-E4F6A7B8C9D0"));
	check(!is_key("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0 (work)"));
	check(is_key("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0e1"));
}

static void
prefixes_that_are_none_match_nothing(void)
{
	static const KvKeyPrefix odd[] = {
		{"", 0}, {"sk", 2}, {"sk-9f2c4e61a7b3d80512ce4f6a7b8c9d0e1", 33}
	};
	const char *key = "sk-" HEX32 "1a2b3c4d";
	size_t		start;
	size_t		len;

	check(!kv_looks_like_key(key, strlen(key), odd, 3));
	check(!kv_looks_like_key(key, strlen(key), NULL, 0));
	check(!kv_has_key_prefix(key, strlen(key), odd, 3));
	check(kv_has_key_prefix(key, strlen(key), prefixes, PREFIX_COUNT));
	check(kv_has_key_prefix("sk-", 3, prefixes, PREFIX_COUNT));
	check(!kv_has_key_prefix("sk", 2, prefixes, PREFIX_COUNT));
	check(!kv_find_key(key, strlen(key), 0, odd, 3, &start, &len));
	check(!kv_find_key(key, strlen(key), 0, NULL, 0, &start, &len));
}

static void
keys_without_a_prefix_are_mixed(void)
{
	check(kv_looks_mixed(HEX32, 32));
	check(kv_looks_mixed(MIXED, 20));
	check(!kv_looks_mixed(MIXED, 19));
	check(!kv_looks_mixed("", 0));
	check(!kv_looks_mixed("someone.with.a.long.name@example.com", 36));
	check(!kv_looks_mixed("tenant_00000042_user_0001", 25));
	check(kv_looks_like_uuid("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0", 36));
	check(!kv_looks_like_uuid("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0", 35));
	check(!kv_looks_like_uuid("9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0a", 37));
	check(!kv_looks_like_uuid("9f2c4e61_a7b3-4d80-912c-e4f6a7b8c9d0", 36));
}

static void
keys_are_found_in_running_text(void)
{
	check(finds("Incorrect API key provided: sk-" MIXED ". You can", "sk-" MIXED));
	check(finds("sk-" MIXED, "sk-" MIXED));
	check(finds("('user_a', 'openai', 'sk-" MIXED "')", "sk-" MIXED));
	check(finds("OPENAI_API_KEY=sk-" MIXED "\n", "sk-" MIXED));
	check(finds("https://host/v1?key=AIza" MIXED "&alt=sse", "AIza" MIXED));
	check(finds("https://host/v1?key%3DAIza" MIXED "&alt=sse", "AIza" MIXED));
	check(finds("{\"a\":\"x\\nsk-" MIXED "\\n\"}", "sk-" MIXED));
	check(finds("{\"a\":\"\\u0022sk-" MIXED "\\u0022\"}", "sk-" MIXED));
	check(finds("user_sk-" MIXED, "sk-" MIXED));
	check(finds("\xff\xfesk-" MIXED "\xff", "sk-" MIXED));
	check(finds("ck_users_email_lower, ck_pub_" HEX32 ", ck_b", "ck_pub_" HEX32));
	check(finds("task-a7b3d80512ce4f6a7b8c disk-a7b3d80512ce4f6a7b8c", NULL));
	check(finds("violates check constraint \"ck_users_email_lower\"", NULL));
	check(finds("Key (id)=(9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0) already exists.", NULL));
	check(finds("", NULL));
	/* one after the other */
	check(finds(", hf_hub_download_file sk-" HEX32, "sk-" HEX32));
	check(finds("sk-sk-sk-" HEX32, "sk-sk-sk-" HEX32));
}

static void
tokens_look_like_tokens(void)
{
	check(is_jwt(JWS));
	check(is_jwt(JWE));
	check(is_jwt(HEADER ".eyJzdWIiOiJ1c2VyX2EifQ."));
	check(!is_jwt(HEADER ".eyJzdWIiOiJ1c2VyX2EifQ"));
	check(!is_jwt(HEADER));
	check(!is_jwt("eyJ.a.b.eyJ.a.b.eyJ.a.b.eyJ"));
	check(!is_jwt("x" JWS));
	check(!is_jwt(""));
	check(!is_jwt("eyJ"));
}

static void
tokens_are_found_in_running_text(void)
{
	check(finds_jwt("Bearer " JWS "\"", JWS));
	check(finds_jwt(JWS, JWS));
	check(finds_jwt("token=" JWE "&x", JWE));
	check(finds_jwt("eyJ." JWS " ", JWS));
	check(finds_jwt("eyJhbGci-" JWS "=", "eyJhbGci-" JWS));
	check(finds_jwt(HEADER " " HEADER "." HEADER " " JWS, JWS));
	check(finds_jwt("keyJhbGciOiJIUzI1NiJ9.a.bbbbbbbbbbbbbbbbbbbbbbb", NULL));
	check(finds_jwt("eyJ", NULL));
	check(finds_jwt("", NULL));
}

/* Long texts made to be gone through again and again: seconds if they were. */
static void
time_is_linear(void)
{
	static const char *const parts[] = {"sk-", "eyJhbGciOiJI-", "eyJhbGciOiJI.", "eyJ", "AIza_"};
	size_t		len = 4 * 1024 * 1024;
	char	   *text = malloc(len);
	size_t		start;
	size_t		found;

	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
	{
		for (size_t i = 0; i < len; i++)
			text[i] = parts[p][i % strlen(parts[p])];
		check(!kv_find_key(text, len, 0, prefixes, PREFIX_COUNT, &start, &found));
		check(kv_find_jwt(text, len, 0, &start, &found) == (p == 2));
	}
	free(text);
}

int
main(void)
{
	run(keys_look_like_keys);
	run(names_do_not);
	run(others_do_not);
	run(prefixes_that_are_none_match_nothing);
	run(keys_without_a_prefix_are_mixed);
	run(keys_are_found_in_running_text);
	run(tokens_look_like_tokens);
	run(tokens_are_found_in_running_text);
	run(time_is_linear);
	return finish();
}
