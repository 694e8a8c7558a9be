/*
 * sql_calls.c
 *		Finds the argument of a call that is the secret, by position or by name.
 */
#include <string.h>

#include "format/sql_calls.h"
#include "format/sql_names.h"
#include "format/sql_token.h"

/* import_keys is not here: its query may have keys in it. */
static const struct
{
	const char *name;
	size_t		position;		/* of the secret, from 0 */
	const char *argument;
}			functions[] = {
	{"set", 2, "api_key"},
	{"import_dotenv", 1, "content"},
	{"inspect_key", 1, "api_key"},
	{"authenticate", 0, "token"},
	{"trust_issuer", 2, "jwks"}
};

#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

/* What an argument consists of, so far. */
typedef enum Shape
{
	EMPTY,
	CAST,						/* CAST, which wants $1 AS text */
	BOUND,						/* $1, or with a cast behind it */
	OTHER
} Shape;

static bool
is_character(const KvSqlScanner *scanner, const KvSqlToken *token, char c)
{
	return token->kind == KV_SQL_OTHER && scanner->text[token->start] == c;
}

static bool
next_is(KvSqlScanner *scanner, char c)
{
	KvSqlToken	token;

	return kv_sql_next_significant(scanner, &token) && is_character(scanner, &token, c);
}

/* A word, or a quoted identifier, in any case. */
static bool
is_name(const KvSqlScanner *scanner, const KvSqlToken *token, const char *name)
{
	size_t		start = token->start;
	size_t		end = token->end;

	if (token->kind == KV_SQL_QUOTED)
		kv_sql_content(scanner->text, token, &start, &end);
	else if (token->kind != KV_SQL_WORD)
		return false;
	if (end - start != strlen(name))
		return false;
	for (; start < end; start++, name++)
	{
		char		c = scanner->text[start];

		if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != *name)
			return false;
	}
	return true;
}

static Shape
next_shape(Shape shape, const KvSqlScanner *scanner, const KvSqlToken *token)
{
	if (token->kind == KV_SQL_PARAMETER && (shape == EMPTY || shape == CAST))
		return BOUND;
	if (shape == EMPTY && is_name(scanner, token, "cast"))
		return CAST;
	if (shape == CAST && is_character(scanner, token, '('))
		return CAST;
	if (shape == BOUND &&
		(token->kind == KV_SQL_WORD || is_character(scanner, token, ':') ||
		 is_character(scanner, token, '.') || is_character(scanner, token, ')')))
		return BOUND;
	return OTHER;
}

/* Whether the scanner is behind `name =>` or `name :=`; it is then, if it was in front. */
static bool
skip_argument_name(KvSqlScanner *scanner, const char *name)
{
	KvSqlScanner ahead = *scanner;
	KvSqlToken	token;
	char		first;

	if (!kv_sql_next_significant(&ahead, &token) || !is_name(&ahead, &token, name) ||
		!kv_sql_next_significant(&ahead, &token) || token.kind != KV_SQL_OTHER)
		return false;
	first = ahead.text[token.start];
	if ((first != '=' && first != ':') || !kv_sql_next(&ahead, &token) ||
		!is_character(&ahead, &token, first == '=' ? '>' : '='))
		return false;
	*scanner = ahead;
	return true;
}

/* The shape of the argument at the scanner; *last is set behind the last one. */
static Shape
scan_argument(KvSqlScanner *scanner, bool *last)
{
	KvSqlToken	token;
	Shape		shape = EMPTY;
	size_t		depth = 0;

	*last = true;
	while (kv_sql_next_significant(scanner, &token))
	{
		if (depth == 0 && is_character(scanner, &token, ','))
		{
			*last = false;
			return shape;
		}
		if (depth == 0 && is_character(scanner, &token, ')'))
			return shape;
		if (is_character(scanner, &token, '('))
			depth++;
		else if (is_character(scanner, &token, ')'))
			depth--;
		shape = next_shape(shape, scanner, &token);
	}
	return OTHER;
}

/* The scanner, a copy, is behind the call's parenthesis. */
static bool
secret_is_bound(KvSqlScanner scanner, size_t function)
{
	bool		last = false;
	bool		bound = false;

	for (size_t position = 0; !last; position++)
	{
		bool		is_named = skip_argument_name(&scanner, functions[function].argument);
		Shape		shape = scan_argument(&scanner, &last);

		/* other names in front of it leave it at a position that has another shape */
		if (is_named || position == functions[function].position)
			bound = shape == BOUND;
		if (is_named)
			return bound;
	}
	return bound;
}

bool
kv_sql_binds_secrets(const char *text, size_t len, bool backslashes)
{
	KvSqlScanner scanner = {.text = text, .len = len, .backslashes = backslashes};
	KvSqlToken	token;
	bool		found = false;

	while (kv_sql_next(&scanner, &token))
	{
		size_t		function = 0;

		if ((token.kind == KV_SQL_STRING || token.kind == KV_SQL_COMMENT) &&
			kv_sql_names_ours(text + token.start, token.end - token.start))
			return false;
		if (!is_name(&scanner, &token, "key_vault") || !next_is(&scanner, '.') ||
			!kv_sql_next_significant(&scanner, &token))
			continue;
		if (is_name(&scanner, &token, "import_keys"))
			return false;
		while (function < FUNCTIONS && !is_name(&scanner, &token, functions[function].name))
			function++;
		if (function == FUNCTIONS)
			continue;
		if (!next_is(&scanner, '(') || !secret_is_bound(scanner, function))
			return false;
		found = true;
	}
	return found;
}
