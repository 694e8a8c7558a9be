/*
 * jose_tool.c
 *		What jose_differential.py asks, one request a line on standard input:
 *
 *		NOW AUDIENCE SET TOKEN
 *
 * NOW in seconds, AUDIENCE as it is, SET and TOKEN in hexadecimal.  Answers with a line
 * that is the user's id after "ok ", or the fault's words after "no ".
 */
#define _GNU_SOURCE
#include "jose_maker.h"

/* Hexadecimal digits, which are ours, to bytes. */
static size_t
from_hex(const char *text, char *bytes)
{
	size_t		len = strlen(text) / 2;

	for (size_t i = 0; i < len; i++)
	{
		unsigned	byte;

		sscanf(text + 2 * i, "%2x", &byte);
		bytes[i] = (char) byte;
	}
	return len;
}

static void
answer(long now, const char *audience, const char *set_json, size_t set_len,
	   const char *text, size_t len)
{
	KvTokenRules rules = app_rules;
	KvTokenSubject subject;
	KvKeySet   *set;
	size_t		number;
	KvToken    *token = NULL;
	KvTokenFault fault;
	KvKeySetFault keys_fault = kv_key_set_parse(set_json, set_len, &set, &number);

	if (keys_fault != KV_KEYS_OK)
	{
		printf("no %s\n", kv_key_set_fault_text(keys_fault));
		return;
	}
	rules.audiences = &audience;
	fault = kv_token_parse(text, len, &token);
	if (fault == KV_TOKEN_OK)
		fault = kv_token_verify(token, set);
	if (fault == KV_TOKEN_OK)
		fault = kv_token_check(token, &rules, now * MICROS, &subject);
	if (fault == KV_TOKEN_OK)
		printf("ok %s\n", subject.user_id);
	else
		printf("no %s\n", kv_token_fault_text(fault));
	kv_token_free(token);
	kv_key_set_free(set);
}

int
main(void)
{
	char	   *line = NULL;
	size_t		room = 0;

	while (getline(&line, &room, stdin) > 0)
	{
		char	   *now = strtok(line, " \n");
		char	   *audience = strtok(NULL, " \n");
		char	   *set = strtok(NULL, " \n");
		char	   *token = strtok(NULL, " \n");
		size_t		set_len;
		size_t		token_len;

		if (token == NULL)
			return 1;
		/* each is shorter as bytes than as text */
		set_len = from_hex(set, set);
		token_len = from_hex(token, token);
		answer(strtol(now, NULL, 10), audience, set, set_len, token, token_len);
	}
	free(line);
	return 0;
}
