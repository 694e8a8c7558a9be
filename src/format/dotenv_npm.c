/*
 * dotenv_npm.c
 *		A .env file as npm's dotenv reads it: what its one regular expression finds,
 *		in the order in which a matcher that backtracks finds it.
 *
 * Most of its choices are none, because what may follow differs from what may be
 * given back.  What is left: with "export" or without, and which quote closes.
 */
#include <string.h>

#include "dotenv_readers.h"

static size_t
skip_space(const KvDotenvBytes *bytes, size_t offset)
{
	return kv_scan_skip_space(bytes, offset, kv_scan_npm_space);
}

/* To the end of the line, where comments end: also in front of U+2028. */
static size_t
find_line_end(const KvDotenvBytes *bytes, size_t offset)
{
	while (offset < bytes->len && kv_scan_npm_line_end(bytes, offset) == 0)
		offset++;
	return offset;
}

/*
 * Whether an assignment can end behind its value: at the end of a line, with white
 * space, blank lines and a comment in front of that, as far as they go.
 */
static bool
can_end(const KvDotenvBytes *bytes, size_t offset, size_t *end)
{
	size_t		space;
	bool		found = false;

	for (; (space = kv_scan_npm_space(bytes, offset)) > 0; offset += space)
	{
		if (kv_scan_npm_line_end(bytes, offset) > 0)
		{
			*end = offset;
			found = true;
		}
	}
	if (offset == bytes->len || bytes->text[offset] == '#')
	{
		*end = find_line_end(bytes, offset);
		return true;
	}
	return found;
}

/*
 * Finds the quote that closes the one at offset: the first that has no backslash in
 * front of it, if the assignment can end there; else the last before that, or of all,
 * where it can.
 */
static bool
find_closing_quote(const KvDotenvBytes *bytes, size_t offset, size_t *closing, size_t *end)
{
	char		quote = bytes->text[offset];
	bool		found = false;
	size_t		here;

	for (size_t i = offset + 1; i < bytes->len; i++)
	{
		if (bytes->text[i] != quote)
			continue;
		if (can_end(bytes, i + 1, &here))
		{
			*closing = i;
			*end = here;
			found = true;
		}
		if (bytes->text[i - 1] != '\\')
			break;
	}
	return found;
}

/* Reads the value behind the = or behind the : and a space; *end is where it ends. */
static void
read_value(const KvDotenvBytes *bytes, size_t offset, KvDotenvEntry *entry, size_t *end)
{
	size_t		start = skip_space(bytes, offset);
	size_t		closing = start;
	size_t		i;

	if ((kv_scan_is_char(bytes, start, '\'') || kv_scan_is_char(bytes, start, '"') ||
		 kv_scan_is_char(bytes, start, '`')) &&
		find_closing_quote(bytes, start, &closing, end))
	{
		entry->value = start;
		entry->value_len = closing + 1 - start;
		return;
	}

	/* To the line's end or a #, and trimmed; where that begins, it always can end */
	for (i = offset; !kv_scan_is_line_end(bytes, i) && bytes->text[i] != '#'; i++)
		;
	(void) can_end(bytes, i, end);
	entry->value = start < i ? start : i;
	for (size_t at = entry->value; at < i;)
	{
		size_t		space = kv_scan_npm_space(bytes, at);

		at += space > 0 ? space : 1;
		if (space == 0)
			entry->value_len = at - entry->value;
	}
}

/* Reads an assignment whose name would stand at offset; false if there is none. */
static bool
read_assignment(const KvDotenvBytes *bytes, size_t offset, KvDotenvEntry *entry, size_t *end)
{
	size_t		behind;

	entry->name = offset;
	entry->name_len = kv_scan_word_len(bytes, offset);
	if (entry->name_len == 0)
		return false;
	behind = offset + entry->name_len;

	entry->equals = skip_space(bytes, behind);
	if (kv_scan_is_char(bytes, entry->equals, '='))
	{
		read_value(bytes, entry->equals + 1, entry, end);
		return true;
	}
	entry->equals = behind;
	if (kv_scan_is_char(bytes, behind, ':') && kv_scan_npm_space(bytes, behind + 1) > 0)
	{
		read_value(bytes, behind + 1 + kv_scan_npm_space(bytes, behind + 1), entry, end);
		return true;
	}
	return false;
}

/* The same, behind "export" or, when that leads to nothing, with it as the name. */
static bool
read_line(const KvDotenvBytes *bytes, size_t offset, KvDotenvEntry *entry, size_t *end)
{
	size_t		behind = offset + strlen("export");

	if (kv_scan_is_word(bytes, offset, "export") && kv_scan_npm_space(bytes, behind) > 0 &&
		read_assignment(bytes, skip_space(bytes, behind), entry, end))
		return true;
	return read_assignment(bytes, offset, entry, end);
}

/* Skips blank lines; *start is where the line begins on which it stops. */
static size_t
skip_blank_lines(const KvDotenvBytes *bytes, size_t offset, size_t *start)
{
	size_t		space;

	*start = offset;
	while ((space = kv_scan_npm_space(bytes, offset)) > 0)
	{
		if (kv_scan_npm_line_end(bytes, offset) > 0)
			*start = offset + space;
		offset += space;
	}
	return offset;
}

bool
kv_dotenv_npm_next(KvDotenvReader *reader, KvDotenvEntry *entry)
{
	const KvDotenvBytes *bytes = &reader->bytes;

	while (reader->offset < bytes->len)
	{
		size_t		start;
		size_t		end = 0;
		size_t		offset = skip_blank_lines(bytes, reader->offset, &start);

		memset(entry, 0, sizeof(*entry));
		if (!read_line(bytes, offset, entry, &end))
		{
			end = find_line_end(bytes, offset);
			reader->offset = end + kv_scan_npm_line_end(bytes, end);
			continue;
		}
		entry->has_value = true;
		entry->start = start > 0 ? start : kv_scan_byte_order_mark(bytes);
		entry->end = entry->value_len > 0 ? entry->value + entry->value_len : entry->equals;
		entry->end = kv_scan_skip_line_end(bytes, kv_scan_find_line_end(bytes, entry->end));
		reader->line += kv_scan_count_line_ends(bytes, reader->counted, entry->name);
		reader->counted = entry->name;
		entry->line = reader->line;
		reader->offset = end + kv_scan_npm_line_end(bytes, end);
		return true;
	}
	return false;
}

static bool
is_separator(const char *value, size_t len, size_t offset)
{
	const KvDotenvBytes bytes = {value, len};

	return offset == len || kv_scan_npm_line_end(&bytes, offset) > 0;
}

/*
 * Takes quotes away that stand at the beginning of a line and, the same, at the end of
 * one, the last such.  Only a value without quotes around all of it has lines here, by
 * U+2028 or U+2029.  Returns the new length.
 */
static size_t
strip_quotes(char *value, size_t len)
{
	static const char quotes[] = "'\"`";
	const KvDotenvBytes bytes = {value, len};
	size_t		last[3] = {0};
	size_t		out = 0;
	bool		line_starts = true;

	for (size_t i = 1; i < len; i++)
	{
		const char *quote = value[i] != '\0' ? strchr(quotes, value[i]) : NULL;

		if (quote != NULL && is_separator(value, len, i + 1))
			last[quote - quotes] = i;
	}

	for (size_t i = 0; i < len;)
	{
		const char *quote = value[i] != '\0' ? strchr(quotes, value[i]) : NULL;
		size_t		line_end = kv_scan_npm_line_end(&bytes, i);

		if (line_starts && quote != NULL && last[quote - quotes] > i)
		{
			size_t		closing = last[quote - quotes];

			memmove(value + out, value + i + 1, closing - i - 1);
			out += closing - i - 1;
			i = closing + 1;
			line_starts = false;
			continue;
		}
		line_starts = line_end > 0;
		for (size_t end = i + (line_end > 0 ? line_end : 1); i < end; i++)
			value[out++] = value[i];
	}
	return out;
}

/* Puts line ends for \n and \r.  Returns the new length. */
static size_t
expand_line_ends(char *value, size_t len)
{
	size_t		out = 0;

	for (size_t i = 0; i < len; i++)
	{
		char		c = value[i];

		if (c == '\\' && i + 1 < len && (value[i + 1] == 'n' || value[i + 1] == 'r'))
			c = value[++i] == 'n' ? '\n' : '\r';
		value[out++] = c;
	}
	return out;
}

size_t
kv_dotenv_npm_decode(const char *text, const KvDotenvEntry *entry, char *out)
{
	const char *in = text + entry->value;
	const char *end = in + entry->value_len;
	bool		expands = entry->value_len > 0 && *in == '"';
	size_t		len = 0;

	for (; in < end; in++)
	{
		if (*in == '\r' && in + 1 < end && in[1] == '\n')
			continue;
		out[len++] = *in == '\r' ? '\n' : *in;
	}
	len = strip_quotes(out, len);
	return expands ? expand_line_ends(out, len) : len;
}
