/*
 * json_text.c
 *		JSON in one spelling, so that one value always has the same bytes.
 *
 * What a value is, and where it comes from, is not known here.
 */
#include <string.h>

#include "json_text.h"

bool
kv_json_put(KvJsonText *text, const char *bytes, size_t len)
{
	if (len > text->size - text->len)
		return false;
	if (len > 0)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	return true;
}

/* The letter behind the backslash, or 0 for a character that has none. */
static char
short_escape(char c)
{
	switch (c)
	{
		case '"':
		case '\\':
			return c;
		case '\b':
			return 'b';
		case '\t':
			return 't';
		case '\n':
			return 'n';
		case '\f':
			return 'f';
		case '\r':
			return 'r';
		default:
			return 0;
	}
}

static bool
put_character(KvJsonText *text, char c)
{
	static const char digits[] = "0123456789abcdef";
	char		letter = short_escape(c);

	if (letter != 0)
		return kv_json_put(text, (char[]){'\\', letter}, 2);
	if ((unsigned char) c < 0x20)
		return kv_json_put(text, (char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6);
	return kv_json_put(text, &c, 1);
}

bool
kv_json_put_string(KvJsonText *text, const char *string, size_t len)
{
	if (!kv_json_put(text, "\"", 1))
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (!put_character(text, string[i]))
			return false;
	}
	return kv_json_put(text, "\"", 1);
}

int
kv_json_compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t		shorter = a_len < b_len ? a_len : b_len;
	int			order = shorter > 0 ? memcmp(a, b, shorter) : 0;

	if (order != 0)
		return order;
	return a_len < b_len ? -1 : a_len > b_len;
}
