/*
 * sql_words.c
 *		Looks for a word in any text.  Texts that have none are the rule, so what is
 *		fast is to find out that: memchr looks for the byte of the word that is rarest.
 */
#include <string.h>

#include "format/sql_literals.h"
#include "format/sql_words.h"

char
kv_sql_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
}

bool
kv_sql_is_same(const char *text, const char *word, size_t len)
{
	while (len-- > 0)
		if (kv_sql_lower(*text++) != *word++)
			return false;
	return true;
}

/* $$ may stand right in front of a word, and behind it. */
static bool
is_word_char(char c)
{
	return kv_sql_is_name_char(c) && c != '$';
}

/* The letter of an escape as JSON has it, `\n`, belongs to no word. */
bool
kv_sql_word_begins(const char *text, size_t at)
{
	if (at == 0 || !is_word_char(text[at - 1]))
		return true;
	return at >= 2 && text[at - 2] == '\\' && kv_sql_is_one_of(text[at - 1], "bfnrt");
}

size_t
kv_sql_skip_gap(const char *text, size_t len, size_t at)
{
	for (;;)
	{
		KvSqlScanner scanner = {.text = text, .len = len, .at = at};
		KvSqlToken	token;

		if (at < len && (text[at] == '"' || text[at] == '\\'))
		{
			at++;
			if (text[at - 1] == '\\' && at < len && kv_sql_is_one_of(text[at], "fnrt"))
				at++;
			continue;
		}
		if (at < len && !kv_sql_is_space(text[at]) && text[at] != '-' && text[at] != '/')
			return at;
		if (!kv_sql_next(&scanner, &token) ||
			(token.kind != KV_SQL_SPACE && token.kind != KV_SQL_COMMENT))
			return at;
		at = scanner.at;
	}
}

size_t
kv_sql_skip_gap_back(const char *text, size_t at)
{
	while (at > 0 && (kv_sql_is_space(text[at - 1]) || text[at - 1] == '"' || text[at - 1] == '\\'))
		at--;
	return at;
}

/* A digit's value; 16 when it is none. */
static unsigned int
hex_value(char c)
{
	if (kv_sql_is_digit(c))
		return (unsigned int) (c - '0');
	c = kv_sql_lower(c);
	return c >= 'a' && c <= 'f' ? (unsigned int) (c - 'a' + 10) : 16;
}

/*
 * Behind an escape of U&"...", `\006b` or `\+00006b`, whose character it sets; 0 when
 * there is none.  UESCAPE makes another character the escape, and a literal may have
 * it twice.
 */
static size_t
skip_unicode_escape(const char *text, size_t len, size_t at, unsigned int *code)
{
	char		escape = text[at];
	int			digits = 4;

	if (kv_sql_is_name_char(escape) || kv_sql_is_space(escape) || kv_sql_is_one_of(escape, "+'\""))
		return 0;
	while (at < len && text[at] == escape)
		at++;
	if (at < len && text[at] == '+')
	{
		digits = 6;
		at++;
	}
	for (*code = 0; digits > 0; digits--, at++)
	{
		unsigned int value = at < len ? hex_value(text[at]) : 16;

		if (value == 16)
			return 0;
		*code = *code * 16 + value;
	}
	return at;
}

/* How many bytes of a word an escape stands for: one character, which is not compared beyond ASCII. */
static size_t
escaped_len(const char *word, size_t word_len, unsigned int code)
{
	size_t		len = 1;

	if (code < 0x80)
		return kv_sql_lower((char) code) == word[0] ? 1 : 0;
	if ((word[0] & 0x80) == 0)
		return 0;
	while (len < word_len && (word[len] & 0xc0) == 0x80)
		len++;
	return len;
}

/* Behind UESCAPE '!' if that follows. */
static size_t
skip_uescape(const char *text, size_t len, size_t at)
{
	static const char uescape[] = "uescape";
	size_t		next = kv_sql_skip_gap(text, len, at);

	if (len - next < strlen(uescape) || !kv_sql_is_same(text + next, uescape, strlen(uescape)))
		return at;
	at = kv_sql_skip_gap(text, len, next + strlen(uescape));
	while (at < len && text[at] == '\'')
		at++;
	at += at < len;
	while (at < len && text[at] == '\'')
		at++;
	return at;
}

/* U&"..." at an offset, whose quotes may be written as those of JSON or CSV. */
static size_t
unicode_word_end(const char *text, size_t len, size_t at, const char *word, size_t word_len)
{
	size_t		quote = at + 2;

	while (quote < len && text[quote] == '\\')
		quote++;
	at = quote;
	while (at < len && text[at] == '"')
		at++;
	if (at == quote)
		return 0;
	while (word_len > 0 && at < len)
	{
		size_t		taken = 1;
		unsigned int code;

		if (kv_sql_lower(text[at]) == *word)
			at++;
		else
		{
			at = skip_unicode_escape(text, len, at, &code);
			taken = at > 0 ? escaped_len(word, word_len, code) : 0;
			if (taken == 0)
				return 0;
		}
		word += taken;
		word_len -= taken;
	}
	if (word_len > 0 || at == len || (text[at] != '"' && text[at] != '\\'))
		return 0;
	return skip_uescape(text, len, at + 1);
}

static bool
is_unicode_prefix(const char *text, size_t len, size_t at)
{
	return len - at > 3 && kv_sql_lower(text[at]) == 'u' && text[at + 1] == '&';
}

static size_t
plain_word_end(const char *text, size_t len, size_t at, const char *word, size_t word_len)
{
	size_t		end = at + word_len;

	if (len - at < word_len || !kv_sql_is_same(text + at, word, word_len) ||
		(end < len && is_word_char(text[end])))
		return 0;
	return end;
}

size_t
kv_sql_word_end(const char *text, size_t len, size_t at, const char *word, size_t word_len)
{
	size_t		end = plain_word_end(text, len, at, word, word_len);

	return end == 0 && is_unicode_prefix(text, len, at) ?
		unicode_word_end(text, len, at, word, word_len) : end;
}

size_t
kv_sql_rarest(const char *word, size_t len)
{
	static const char rare_first[] = "zqjxkvwbygfhpmducln_aorstie";

	for (const char *c = rare_first; *c != '\0'; c++)
	{
		const char *found = memchr(word, *c, len);

		if (found != NULL)
			return (size_t) (found - word);
	}
	return 0;
}

/* Where the word stands with its rarest byte spelled so. */
static bool
any_plain_word(const char *text, size_t len, const KvSqlWord *word, char rarest,
			   KvSqlWordTest test, void *argument)
{
	const char *from = text + word->rarest;

	if (len < word->len)
		return false;
	while ((from = memchr(from, rarest, (size_t) (text + len - from))) != NULL)
	{
		size_t		at = (size_t) (from - text) - word->rarest;
		size_t		end = plain_word_end(text, len, at, word->text, word->len);

		if (end > 0 && kv_sql_word_begins(text, at) &&
			test(&(KvSqlPlace){text, len, at, end}, argument))
			return true;
		from++;
	}
	return false;
}

static bool
any_unicode_word(const char *text, size_t len, const KvSqlWord *word,
				 KvSqlWordTest test, void *argument)
{
	const char *from = text;

	while (len > 0 && (from = memchr(from, '&', (size_t) (text + len - from))) != NULL)
	{
		size_t		at = (size_t) (from - text);

		from++;
		if (at > 0 && is_unicode_prefix(text, len, at - 1) && kv_sql_word_begins(text, at - 1))
		{
			size_t		end = unicode_word_end(text, len, at - 1, word->text, word->len);

			if (end > 0 && test(&(KvSqlPlace){text, len, at - 1, end}, argument))
				return true;
		}
	}
	return false;
}

bool
kv_sql_any_word(const char *text, size_t len, const KvSqlWord *word,
				KvSqlWordTest test, void *argument)
{
	char		rarest = word->text[word->rarest];

	return any_plain_word(text, len, word, rarest, test, argument) ||
		(upper(rarest) != rarest &&
		 any_plain_word(text, len, word, upper(rarest), test, argument)) ||
		any_unicode_word(text, len, word, test, argument);
}
