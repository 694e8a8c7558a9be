/*
 * sql_redact.c
 *		Writes an SQL text without its literals.
 */
#include <stdio.h>
#include <string.h>

#include "format/sql_redact.h"
#include "format/sql_token.h"

/* A quoted identifier that is shorter, or has no digit, is taken for a name. */
#define NO_NAME_MIN 16

typedef struct Output
{
	char	   *out;
	size_t		size;
	size_t		len;			/* of the whole, written or not */
	char		last;
} Output;

static void
put(Output *output, const char *bytes, size_t len)
{
	if (output->len + 1 < output->size)
	{
		size_t		room = output->size - 1 - output->len;

		memcpy(output->out + output->len, bytes, len < room ? len : room);
	}
	output->len += len;
	if (len > 0)
		output->last = bytes[len - 1];
}

/*
 * Whether what follows ends an argument.  The scanner is a copy: its caller
 * goes on where it was.
 */
static bool
argument_ends(KvSqlScanner scanner)
{
	KvSqlToken	token;

	return !kv_sql_next_significant(&scanner, &token) ||
		(token.kind == KV_SQL_OTHER && kv_sql_is_one_of(scanner.text[token.start], "),:;"));
}

static bool
is_like_a_name(const char *text, const KvSqlToken *token)
{
	size_t		start;
	size_t		end;

	kv_sql_content(text, token, &start, &end);
	if (end - start < NO_NAME_MIN)
		return true;
	while (start < end)
		if (kv_sql_is_digit(text[start++]))
			return false;
	return true;
}

static bool
is_hidden(const KvSqlScanner *scanner, const KvSqlToken *token)
{
	char		before = scanner->before;

	switch (token->kind)
	{
		case KV_SQL_STRING:
		case KV_SQL_NUMBER:
		case KV_SQL_COMMENT:
			return true;
		case KV_SQL_QUOTED:
			return (before == '(' || before == ',' || before == '>' || before == '=') &&
				!is_like_a_name(scanner->text, token) && argument_ends(*scanner);
		default:
			return false;
	}
}

/* What stands in front of the next token is this one, unless it is as good as not there. */
static void
leave_behind(KvSqlScanner *scanner, const KvSqlToken *token)
{
	if (token->kind != KV_SQL_SPACE && token->kind != KV_SQL_COMMENT)
		scanner->before = scanner->text[token->end - 1];
}

/*
 * A string with a quote in it that was not doubled ends too early.  So what follows
 * without a gap is taken for a part of it.
 */
static void
take_what_follows(KvSqlScanner *scanner, KvSqlToken *token)
{
	const char *text = scanner->text;
	size_t		at = scanner->at;

	if (scanner->in_prose || token->kind != KV_SQL_STRING || text[at - 1] != '\'' ||
		at == scanner->len || !kv_sql_is_name_char(text[at]))
		return;
	while (at < scanner->len && !kv_sql_is_space(text[at]) && !kv_sql_is_one_of(text[at], ",);:'"))
		at++;
	token->end = scanner->at = at;
}

bool
kv_sql_next_hidden(KvSqlScanner *scanner, KvSqlToken *token)
{
	bool		found = false;

	while (!found && kv_sql_next(scanner, token))
	{
		found = is_hidden(scanner, token);
		if (found)
			take_what_follows(scanner, token);
		leave_behind(scanner, token);
	}
	return found;
}

/* U&'...' UESCAPE '!' is one literal. */
static void
skip_escape_clause(KvSqlScanner *scanner)
{
	KvSqlScanner ahead = *scanner;
	KvSqlToken	token;

	if (!kv_sql_next_significant(&ahead, &token) || token.kind != KV_SQL_WORD ||
		token.end - token.start != strlen("uescape"))
		return;
	for (size_t i = 0; i < strlen("uescape"); i++)
		if ((scanner->text[token.start + i] | 0x20) != "uescape"[i])
			return;
	if (kv_sql_next_significant(&ahead, &token) && token.kind == KV_SQL_STRING)
	{
		take_what_follows(&ahead, &token);
		*scanner = ahead;
	}
}

/* The number after that of the highest parameter that is shown. */
static unsigned long
first_free_parameter(KvSqlScanner scanner)
{
	KvSqlToken	token;
	unsigned long highest = 0;

	while (kv_sql_next(&scanner, &token))
	{
		unsigned long number = 0;

		take_what_follows(&scanner, &token);
		if (token.kind == KV_SQL_STRING && token.style == KV_SQL_UNICODE)
			skip_escape_clause(&scanner);
		if (token.kind != KV_SQL_PARAMETER)
			continue;
		for (size_t i = token.start + 1; i < token.end && number < 100000000; i++)
			number = number * 10 + (unsigned long) (scanner.text[i] - '0');
		if (number > highest)
			highest = number;
	}
	return highest + 1;
}

static void
put_parameter(Output *output, unsigned long number, const KvSqlScanner *scanner)
{
	char		name[32];
	int			len = snprintf(name, sizeof(name), "$%lu", number);

	/* a name may go on with $1, and a dollar quote's tag with a name */
	if (kv_sql_is_name_char(output->last))
		put(output, " ", 1);
	put(output, name, (size_t) len);
	if (scanner->at < scanner->len && kv_sql_is_name_char(scanner->text[scanner->at]))
		put(output, " ", 1);
}

size_t
kv_sql_redact(const char *text, size_t len, bool backslashes, char *out, size_t size)
{
	KvSqlScanner scanner = {.text = text, .len = len, .backslashes = backslashes};
	Output		output = {.out = out, .size = size};
	unsigned long number = first_free_parameter(scanner);
	KvSqlToken	token;

	while (kv_sql_next(&scanner, &token))
	{
		if (!is_hidden(&scanner, &token))
			put(&output, text + token.start, token.end - token.start);
		else if (token.kind != KV_SQL_COMMENT)
		{
			take_what_follows(&scanner, &token);
			if (token.style == KV_SQL_UNICODE)
				skip_escape_clause(&scanner);
			put_parameter(&output, number++, &scanner);
		}
		else if (text[token.start] == '-')
			put(&output, "--", 2);
		else
			put(&output, "/* */", 5);
		leave_behind(&scanner, &token);
	}
	if (size > 0)
		out[output.len < size ? output.len : size - 1] = '\0';
	return output.len;
}
