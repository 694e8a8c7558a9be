/*
 * fuzz_sql_text.c
 *		Any bytes are an SQL text, and what is shown of it does not depend on what
 *		is in its literals.
 */
#include <stdint.h>
#include <string.h>

#include "format/log_text.h"
#include "format/sql_names.h"
#include "format/sql_redact.h"
#include "format/sql_token.h"
#include "require.h"

static char *
copy_of(const char *text, size_t len)
{
	char	   *copy = malloc(len + 1);

	memcpy(copy, text, len);
	return copy;
}

/* Other letters and digits in a token, such that it stays the same kind of token. */
static void
change_token(char *text, const KvSqlToken *token)
{
	size_t		start = token->start;
	size_t		end = token->end;

	if (token->kind == KV_SQL_STRING || token->kind == KV_SQL_QUOTED)
		kv_sql_content(text, token, &start, &end);
	if (token->style == KV_SQL_DOLLAR && memchr(text + start, '$', end - start) != NULL)
		return;
	for (size_t i = start; i < end; i++)
		if (kv_sql_is_digit(text[i]))
			text[i] = '7';
		else if (text[i] >= 'a' && text[i] <= 'z' && token->kind != KV_SQL_NUMBER)
			text[i] = 'q';
}

static char *
changed(const char *text, KvSqlScanner scanner)
{
	char	   *copy = copy_of(text, scanner.len);
	KvSqlToken	token;
	size_t		end = 0;

	while (kv_sql_next_hidden(&scanner, &token))
	{
		require(token.start >= end && token.end > token.start && token.end <= scanner.len);
		end = token.end;
		if (!(scanner.in_prose && token.kind == KV_SQL_NUMBER))
			change_token(copy, &token);
	}
	return copy;
}

static void
check_tokens(KvSqlScanner scanner)
{
	KvSqlToken	token;
	size_t		end = 0;

	while (kv_sql_next(&scanner, &token))
	{
		require(token.start == end && token.end > token.start && token.end <= scanner.len);
		end = token.end;
	}
	require(end == scanner.len);
}

static void
check_redaction(const char *text, KvSqlScanner scanner)
{
	char	   *other = changed(text, scanner);
	size_t		len = kv_sql_redact(text, scanner.len, scanner.backslashes, NULL, 0);
	char	   *first = malloc(len + 1);
	char	   *second = malloc(len + 1);

	require(kv_sql_redact(text, scanner.len, scanner.backslashes, first, len + 1) == len);
	require(kv_sql_redact(other, scanner.len, scanner.backslashes, second, len + 1) == len);
	require(memcmp(first, second, len + 1) == 0);
	free(first);
	free(second);
	free(other);
}

static void
check_in_place(size_t (*hide) (char *, size_t, bool), const char *text, KvSqlScanner scanner)
{
	char	   *first = copy_of(text, scanner.len);
	char	   *second = changed(text, scanner);
	size_t		len = hide(first, scanner.len, scanner.backslashes);

	require(len <= scanner.len);
	require(hide(second, scanner.len, scanner.backslashes) == len);
	require(memcmp(first, second, len) == 0);
	free(first);
	free(second);
}

static bool
is_long(const char *name, void *max)
{
	return strlen(name) > *(size_t *) max;
}

/* Those that hide more than literals: at least they stay where they are. */
static void
check_bounds(const char *text, size_t len)
{
	static size_t (*const hide[]) (char *, size_t) = {
		kv_log_hide_quoted, kv_log_hide_row, kv_log_hide_copied, kv_log_hide_json
	};
	char	   *copy;

	for (size_t i = 0; i < sizeof(hide) / sizeof(hide[0]); i++)
	{
		copy = copy_of(text, len);
		require(hide[i](copy, len) <= len);
		free(copy);
	}
	copy = copy_of(text, len);
	require(kv_log_hide_in_plan(copy, len, false) <= len);
	free(copy);
	copy = copy_of(text, len);
	require(kv_log_hide_in_audit(copy, len, false) <= len);
	free(copy);
	(void) kv_sql_names_ours(text, len);
	(void) kv_sql_calls_ours(text, len);
	require(!kv_sql_any_executed(text, len, is_long, &(size_t){KV_SQL_NAME_MAX}));
}

static void
check_list(const char *text, size_t len)
{
	char	   *list = copy_of(text, len);
	KvSqlName	names[8];
	size_t		count;

	list[len] = '\0';
	if (kv_sql_names_parse(list, names, 8, &count))
	{
		require(count <= 8);
		for (size_t i = 0; i < count; i++)
			require(names[i].name_len > 0 && names[i].name_len <= KV_SQL_NAME_MAX);
		(void) kv_sql_names_listed(text, len, names, count);
	}
	free(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size > 0 ? size : 1);

	memcpy(text, data, size);
	for (int flags = 0; flags < 4; flags++)
	{
		KvSqlScanner scanner = {
			.text = text, .len = size, .backslashes = (flags & 1) != 0, .in_prose = (flags & 2) != 0
		};

		check_tokens(scanner);
		if (scanner.in_prose)
			check_in_place(kv_log_hide_literals, text, scanner);
		else
			check_redaction(text, scanner);
	}
	check_bounds(text, size);
	check_list(text, size);
	free(text);
	return 0;
}
