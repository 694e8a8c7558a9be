/*
 * dotenv_spell.c
 *		Spelling a value so that the readers of .env files agree on it.
 *
 * What the readers do with escapes, quotes and comments is known here; where in the
 * file a value stands is not.
 */
#include <string.h>

#include "dotenv_spell.h"

static bool
is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The length of the UTF-8 character at c, or 0: RFC 3629, no surrogates. */
static size_t
utf8_char_len(const unsigned char *c, size_t left)
{
	if (c[0] < 0x80)
		return 1;
	if (c[0] >= 0xc2 && c[0] <= 0xdf && left >= 2 && is_continuation(c[1]))
		return 2;
	if (c[0] >= 0xe0 && c[0] <= 0xef && left >= 3 &&
		is_continuation(c[1]) && is_continuation(c[2]) &&
		!(c[0] == 0xe0 && c[1] < 0xa0) && !(c[0] == 0xed && c[1] > 0x9f))
		return 3;
	if (c[0] >= 0xf0 && c[0] <= 0xf4 && left >= 4 &&
		is_continuation(c[1]) && is_continuation(c[2]) && is_continuation(c[3]) &&
		!(c[0] == 0xf0 && c[1] < 0x90) && !(c[0] == 0xf4 && c[1] > 0x8f))
		return 4;
	return 0;
}

static bool
is_utf8_without_nul(const char *value, size_t len)
{
	size_t		i = 0;

	while (i < len)
	{
		size_t		char_len = utf8_char_len((const unsigned char *) value + i, len - i);

		if (char_len == 0 || value[i] == '\0')
			return false;
		i += char_len;
	}
	return true;
}

/* \$\{[^}:]*(:-[^}]*)?\}, and nothing escapes it. */
bool
kv_dotenv_is_interpolated(const char *value, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++)
	{
		if (value[i] != '$' || value[i + 1] != '{')
			continue;

		/* A ${ on the way would end in the same place, so go on from there */
		for (i += 2; i < len && value[i] != '}' && value[i] != ':'; i++)
			;
		if (i < len && value[i] == '}')
			return true;
		if (i + 1 < len && value[i + 1] == '-')
			return memchr(value + i, '}', len - i) != NULL;
	}
	return false;
}

static bool
holds(const char *value, size_t len, const char *any)
{
	for (; *any != '\0'; any++)
	{
		if (len > 0 && memchr(value, *any, len) != NULL)
			return true;
	}
	return false;
}

/* Only characters that mean nothing to a shell, either. */
static bool
can_be_bare(const char *value, size_t len)
{
	static const char others[] = "_./+=:@%,-";

	for (size_t i = 0; i < len; i++)
	{
		char		c = value[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || memchr(others, c, sizeof(others) - 1) != NULL))
			return false;
	}
	return len > 0;
}

/* Whether a backslash has behind it none of these, nor the closing quote. */
static bool
backslashes_stay(const char *value, size_t len, const char *escaped)
{
	for (size_t i = 0; i < len; i++)
	{
		if (value[i] == '\\' && (i + 1 == len || holds(value + i + 1, 1, escaped)))
			return false;
	}
	return true;
}

/*
 * To npm's dotenv nothing is escaped in single quotes; to python-dotenv a
 * backslash escapes itself and the quote.  So that must not stand there.
 */
static bool
can_be_single_quoted(const char *value, size_t len)
{
	return !holds(value, len, "'\n\r") && backslashes_stay(value, len, "\\'");
}

/*
 * Both know \n and \r in double quotes, and no other escape that could help.  A
 * line end behind a backslash would have to be spelled \\n.
 */
static bool
can_be_double_quoted(const char *value, size_t len)
{
	return !holds(value, len, "\"") &&
		backslashes_stay(value, len, "\\'\"abfnrtv\n\r");
}

/* Both take a line as it is, but for #, and for what stands at its ends. */
static bool
can_be_unquoted(const char *value, size_t len)
{
	return len > 0 && !holds(value, len, "#\n\r") && !holds(value, 1, "'\"`") &&
		value[0] > ' ' && value[0] < 0x7f &&
		value[len - 1] > ' ' && value[len - 1] < 0x7f;
}

bool
kv_dotenv_can_hold(const char *value, size_t len)
{
	return is_utf8_without_nul(value, len) && !kv_dotenv_is_interpolated(value, len);
}

bool
kv_dotenv_can_spell(KvDotenvStyle style, const char *value, size_t len)
{
	switch (style)
	{
		case KV_DOTENV_BARE:
			return can_be_bare(value, len);
		case KV_DOTENV_SINGLE:
			return can_be_single_quoted(value, len);
		case KV_DOTENV_DOUBLE:
			return can_be_double_quoted(value, len);
		case KV_DOTENV_UNQUOTED:
			return can_be_unquoted(value, len);
	}
	return false;
}

size_t
kv_dotenv_spell(KvDotenvStyle style, const char *value, size_t len, char *out)
{
	char	   *next = out;

	if (style == KV_DOTENV_SINGLE)
		*next++ = '\'';
	else if (style == KV_DOTENV_DOUBLE)
		*next++ = '"';

	for (size_t i = 0; i < len; i++)
	{
		bool		line_end = value[i] == '\n' || value[i] == '\r';

		if (style == KV_DOTENV_DOUBLE && line_end)
		{
			*next++ = '\\';
			*next++ = value[i] == '\n' ? 'n' : 'r';
		}
		else
			*next++ = value[i];
	}

	if (style == KV_DOTENV_SINGLE)
		*next++ = '\'';
	else if (style == KV_DOTENV_DOUBLE)
		*next++ = '"';
	return (size_t) (next - out);
}
