/*
 * sql_token.c
 *		What is asked of an SQL text's tokens by more than one.
 */
#include <string.h>

#include "format/sql_token.h"

bool
kv_sql_next_significant(KvSqlScanner *scanner, KvSqlToken *token)
{
	while (kv_sql_next(scanner, token))
		if (token->kind != KV_SQL_SPACE && token->kind != KV_SQL_COMMENT)
			return true;
	return false;
}

/* The length of a string's or quoted identifier's quote, and where it begins. */
static size_t
opening_quote(const char *text, const KvSqlToken *token, size_t *at)
{
	size_t		len = 1;

	*at = token->start;
	if (token->style == KV_SQL_DOLLAR)
	{
		while (text[*at + len] != '$')
			len++;
		return len + 1;
	}
	while (text[*at] != '\'' && text[*at] != '"')
		(*at)++;
	return 1;
}

void
kv_sql_content(const char *text, const KvSqlToken *token, size_t *start, size_t *end)
{
	size_t		quote;
	size_t		len = opening_quote(text, token, &quote);

	*start = quote + len;
	*end = token->end;
	if (*end >= *start + len && memcmp(text + *end - len, text + quote, len) == 0)
		*end -= len;
}
