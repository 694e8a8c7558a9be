/*
 * tree_text.c
 *		Reads the bytes of constants in a printed tree: numbers between brackets, which
 *		lines may break between.
 */
#include <string.h>

#include "format/sql_literals.h"
#include "format/tree_text.h"

/* Behind a number, which is added to bytes; false when there is none. */
static bool
read_byte(const char *text, size_t len, size_t *at, char *byte)
{
	size_t		end = *at;
	unsigned	value = 0;
	bool		negative = false;

	while (end < len && kv_sql_is_space(text[end]))
		end++;
	if (end < len && text[end] == '-')
	{
		negative = true;
		end++;
	}
	if (end == len || !kv_sql_is_digit(text[end]))
		return false;
	while (end < len && kv_sql_is_digit(text[end]))
		value = value * 10 + (unsigned) (text[end++] - '0');
	*byte = (char) (unsigned char) (negative ? 0 - value : value);
	*at = end;
	return true;
}

bool
kv_tree_next_bytes(const char *text, size_t len, size_t *at, char *bytes, size_t size,
				   size_t *count)
{
	*count = 0;
	while (*at < len)
	{
		/* in the middle of a constant that did not fit, or behind a bracket */
		while (*count < size && read_byte(text, len, at, &bytes[*count]))
			(*count)++;
		if (*count > 0)
			return true;
		while (*at < len && text[*at] != '[')
			(*at)++;
		*at += *at < len;
	}
	return false;
}
