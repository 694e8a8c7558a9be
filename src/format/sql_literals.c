/*
 * sql_literals.c
 *		The tokens of an SQL text, by the rules of PostgreSQL's scan.l.  What that
 *		refuses has an end here as well, and rather a later one than an earlier.
 */
#include <string.h>

#include "sql_literals.h"

bool
kv_sql_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
kv_sql_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
kv_sql_is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
is_newline(char c)
{
	return c == '\n' || c == '\r';
}

static bool
begins_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		((unsigned char) c & 0x80) != 0;
}

bool
kv_sql_is_name_char(char c)
{
	return begins_name(c) || kv_sql_is_digit(c) || c == '$';
}

/* The character at an offset; a NUL behind the end, which begins nothing. */
static char
char_at(const KvSqlScanner *scanner, size_t at)
{
	return at < scanner->len ? scanner->text[at] : '\0';
}

static bool
stands_at(const KvSqlScanner *scanner, size_t at, char first, char second)
{
	return char_at(scanner, at) == first && char_at(scanner, at + 1) == second;
}

static size_t
skip_name(const KvSqlScanner *scanner, size_t at)
{
	while (at < scanner->len && kv_sql_is_name_char(scanner->text[at]))
		at++;
	return at;
}

static size_t
skip_digits(const KvSqlScanner *scanner, size_t at)
{
	while (kv_sql_is_digit(char_at(scanner, at)))
		at++;
	return at;
}

static size_t
skip_space(const KvSqlScanner *scanner, size_t at)
{
	while (at < scanner->len && kv_sql_is_space(scanner->text[at]))
		at++;
	return at;
}

static size_t
skip_line(const KvSqlScanner *scanner, size_t at)
{
	while (at < scanner->len && !is_newline(scanner->text[at]))
		at++;
	return at;
}

static size_t
skip_comment(const KvSqlScanner *scanner, size_t at)
{
	size_t		depth = 0;

	while (at < scanner->len)
	{
		if (stands_at(scanner, at, '/', '*'))
		{
			depth++;
			at += 2;
		}
		else if (stands_at(scanner, at, '*', '/'))
		{
			at += 2;
			if (--depth == 0)
				return at;
		}
		else
			at++;
	}
	return scanner->len;
}

size_t
kv_sql_continued_at(const KvSqlScanner *scanner, size_t at)
{
	bool		newline = false;

	for (; at < scanner->len; at++)
	{
		char		c = scanner->text[at];

		if (stands_at(scanner, at, '-', '-'))
		{
			at = skip_line(scanner, at);
			newline = at < scanner->len;
		}
		else if (c == '\'' && newline)
			return at + 1;
		else if (!kv_sql_is_space(c))
			return 0;
		else if (is_newline(c))
			newline = true;
	}
	return 0;
}

/* at is behind the opening quote.  Returns more than the text's length without an end. */
static size_t
skip_string(const KvSqlScanner *scanner, size_t at, KvSqlStyle style)
{
	while (at < scanner->len)
	{
		char		c = scanner->text[at++];
		size_t		next;

		if ((c == '\\' && style == KV_SQL_ESCAPED) ||
			(c == '\'' && char_at(scanner, at) == '\'' && style != KV_SQL_BITS))
			at++;
		else if (c != '\'')
			continue;
		else if ((next = kv_sql_continued_at(scanner, at)) > 0)
			at = next;
		else
			return at;
	}
	return scanner->len + 1;
}

static size_t
skip_quoted(const KvSqlScanner *scanner, size_t at)
{
	while (at < scanner->len)
	{
		if (scanner->text[at++] != '"')
			continue;
		if (char_at(scanner, at) != '"')
			return at;
		at++;
	}
	return scanner->len;
}

/* The length of the delimiter of a dollar quote that begins here, or 0. */
static size_t
dollar_delimiter(const KvSqlScanner *scanner, size_t at)
{
	size_t		end = at + 1;

	if (begins_name(char_at(scanner, end)))
		while (char_at(scanner, end) != '$' && end < scanner->len &&
			   kv_sql_is_name_char(scanner->text[end]))
			end++;
	return char_at(scanner, end) == '$' ? end + 1 - at : 0;
}

static size_t
skip_dollar_string(const KvSqlScanner *scanner, size_t at, size_t delimiter)
{
	const char *begin = scanner->text + at;
	const char *end = scanner->text + scanner->len;
	const char *found = begin + delimiter;

	while ((found = memchr(found, '$', end - found)) != NULL)
	{
		if ((size_t) (end - found) < delimiter)
			break;
		if (memcmp(found, begin, delimiter) == 0)
			return found - scanner->text + delimiter;
		found++;
	}
	return scanner->len;
}

static size_t
skip_number(const KvSqlScanner *scanner, size_t at)
{
	size_t		exponent;

	at = skip_digits(scanner, at);
	/* 1..10 is a range */
	if (char_at(scanner, at) == '.' && char_at(scanner, at + 1) != '.')
		at = skip_digits(scanner, at + 1);
	if (char_at(scanner, at) == 'e' || char_at(scanner, at) == 'E')
	{
		exponent = at + 1;
		if (char_at(scanner, exponent) == '+' || char_at(scanner, exponent) == '-')
			exponent++;
		if (kv_sql_is_digit(char_at(scanner, exponent)))
			at = skip_digits(scanner, exponent);
	}
	return begins_name(char_at(scanner, at)) ? skip_name(scanner, at) : at;
}

/* Where the quote of a string with a prefix stands, and how it is spelled; or 0. */
static size_t
prefixed_quote(const KvSqlScanner *scanner, size_t at, KvSqlStyle *style)
{
	KvSqlStyle	plain = scanner->backslashes ? KV_SQL_ESCAPED : KV_SQL_PLAIN;
	size_t		quote = at;

	*style = plain;
	switch (scanner->text[at])
	{
		case '\'':
			return quote + 1;
		case 'e':
		case 'E':
			*style = KV_SQL_ESCAPED;
			break;
		case 'b':
		case 'B':
		case 'x':
		case 'X':
			*style = KV_SQL_BITS;
			break;
		case 'n':
		case 'N':
			break;
		case 'u':
		case 'U':
			if (char_at(scanner, at + 1) != '&')
				return 0;
			*style = KV_SQL_UNICODE;
			quote++;
			break;
		default:
			return 0;
	}
	return char_at(scanner, quote + 1) == '\'' ? quote + 2 : 0;
}

/* Where the quote of a quoted identifier stands; or 0. */
static size_t
identifier_quote(const KvSqlScanner *scanner, size_t at)
{
	char		c = scanner->text[at];

	if (c == '"')
		return at + 1;
	if ((c == 'u' || c == 'U') && stands_at(scanner, at + 1, '&', '"'))
		return at + 3;
	return 0;
}

/* The apostrophe of a word in a sentence.  quote is behind it, end that of a string there. */
static bool
is_apostrophe(const KvSqlScanner *scanner, size_t quote, size_t end)
{
	return scanner->in_prose && end > scanner->len && quote >= 2 &&
		begins_name(scanner->text[quote - 2]) && begins_name(char_at(scanner, quote));
}

/* What begins with a quote, perhaps behind a prefix; false when nothing does. */
static bool
scan_quotes(const KvSqlScanner *scanner, size_t at, KvSqlToken *token)
{
	size_t		quote;

	if ((quote = prefixed_quote(scanner, at, &token->style)) > 0)
	{
		token->kind = KV_SQL_STRING;
		token->end = skip_string(scanner, quote, token->style);
		return !is_apostrophe(scanner, quote, token->end);
	}
	if (!scanner->in_prose && (quote = identifier_quote(scanner, at)) > 0)
	{
		token->kind = KV_SQL_QUOTED;
		token->style = scanner->text[at] == '"' ? KV_SQL_PLAIN : KV_SQL_UNICODE;
		token->end = skip_quoted(scanner, quote);
		return true;
	}
	return false;
}

/* What begins with none of a quote, a letter and white space, and is no comment. */
static void
scan_other(const KvSqlScanner *scanner, size_t at, KvSqlToken *token)
{
	char		c = scanner->text[at];
	char		next = char_at(scanner, at + 1);
	size_t		delimiter;

	if (kv_sql_is_digit(c) || (c == '.' && kv_sql_is_digit(next)))
	{
		token->kind = KV_SQL_NUMBER;
		token->end = skip_number(scanner, at);
	}
	else if (c == '$' && kv_sql_is_digit(next))
	{
		token->kind = KV_SQL_PARAMETER;
		token->end = skip_digits(scanner, at + 1);
	}
	else if (c == '$' && (delimiter = dollar_delimiter(scanner, at)) > 0)
	{
		token->kind = KV_SQL_STRING;
		token->style = KV_SQL_DOLLAR;
		token->end = skip_dollar_string(scanner, at, delimiter);
	}
	else
	{
		token->kind = KV_SQL_OTHER;
		token->end = at + (c == '.' && next == '.' ? 2 : 1);
	}
}

bool
kv_sql_next(KvSqlScanner *scanner, KvSqlToken *token)
{
	size_t		at = scanner->at;

	if (at >= scanner->len)
		return false;
	token->start = at;
	token->style = KV_SQL_PLAIN;
	if (kv_sql_is_space(scanner->text[at]))
	{
		token->kind = KV_SQL_SPACE;
		token->end = skip_space(scanner, at);
	}
	else if (stands_at(scanner, at, '-', '-'))
	{
		token->kind = KV_SQL_COMMENT;
		token->end = skip_line(scanner, at);
	}
	else if (stands_at(scanner, at, '/', '*'))
	{
		token->kind = KV_SQL_COMMENT;
		token->end = skip_comment(scanner, at);
	}
	else if (!scan_quotes(scanner, at, token))
	{
		if (begins_name(scanner->text[at]))
		{
			token->kind = KV_SQL_WORD;
			token->end = skip_name(scanner, at);
		}
		else
			scan_other(scanner, at, token);
	}
	/* a string without an end */
	if (token->end > scanner->len)
		token->end = scanner->len;
	scanner->at = token->end;
	return true;
}
