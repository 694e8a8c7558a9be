/*
 * dotenv_python.c
 *		A .env file as python-dotenv reads it, in the steps of its parser.
 */
#include <string.h>

#include "dotenv_readers.h"

static size_t
skip_space(const KvDotenvBytes *bytes, size_t offset)
{
	return kv_scan_skip_space_on_line(bytes, offset, kv_scan_python_space);
}

/* Goes to the next line that is not blank; *start is where that line begins. */
static size_t
skip_blank_lines(const KvDotenvBytes *bytes, size_t offset, size_t *start)
{
	size_t		len;

	*start = offset;
	while ((len = kv_scan_python_space(bytes, offset)) > 0)
	{
		if (kv_scan_is_line_end(bytes, offset))
			*start = offset + len;
		offset += len;
	}
	return offset;
}

/* "export" and white space, if it stands here, is skipped. */
static size_t
skip_export(const KvDotenvBytes *bytes, size_t offset)
{
	size_t		behind = offset + strlen("export");

	if (!kv_scan_is_word(bytes, offset, "export"))
		return offset;
	return skip_space(bytes, behind) > behind ? skip_space(bytes, behind) : offset;
}

/* Reads a name; false if there is none. */
static bool
read_name(const KvDotenvBytes *bytes, KvDotenvEntry *entry, size_t *offset)
{
	const char *closing;

	entry->name = *offset;
	if (!kv_scan_is_char(bytes, *offset, '\''))
	{
		while (*offset < bytes->len && bytes->text[*offset] != '=' &&
			   bytes->text[*offset] != '#' && kv_scan_python_space(bytes, *offset) == 0)
			(*offset)++;
		entry->name_len = *offset - entry->name;
		return entry->name_len > 0;
	}

	entry->name++;
	closing = memchr(bytes->text + entry->name, '\'', bytes->len - entry->name);
	if (closing == NULL || closing == bytes->text + entry->name)
		return false;
	entry->name_len = (size_t) (closing - bytes->text) - entry->name;
	*offset = entry->name + entry->name_len + 1;
	return true;
}

/*
 * Reads a value in quotes; false if they are not closed.  A quote behind a backslash
 * does not close, whatever stands in front of that, unless no other one does: then
 * the last of those.
 */
static bool
read_quoted(const KvDotenvBytes *bytes, KvDotenvEntry *entry, size_t *offset)
{
	size_t		closing = 0;

	entry->quote = bytes->text[*offset];
	for (size_t i = *offset + 1; i < bytes->len; i++)
	{
		if (bytes->text[i] != entry->quote)
			continue;
		closing = i;
		if (bytes->text[i - 1] != '\\')
			break;
	}
	if (closing == 0)
		return false;
	entry->value_len = closing + 1 - entry->value;
	*offset = closing + 1;
	return true;
}

/* Reads a value without quotes: to the line's end, or to white space and a #. */
static void
read_unquoted(const KvDotenvBytes *bytes, KvDotenvEntry *entry, size_t *offset)
{
	bool		blank_before = false;
	size_t		i = entry->value;

	while (!kv_scan_is_line_end(bytes, i))
	{
		size_t		space = kv_scan_python_space(bytes, i);

		if (bytes->text[i] == '#' && blank_before)
			break;
		blank_before = space > 0;
		i += space > 0 ? space : 1;
		if (space == 0)
			entry->value_len = i - entry->value;
	}
	*offset = kv_scan_find_line_end(bytes, i);
}

/* Reads what stands behind the =, which is at *offset. */
static bool
read_value(const KvDotenvBytes *bytes, KvDotenvEntry *entry, size_t *offset)
{
	entry->has_value = true;
	entry->equals = *offset;
	*offset = skip_space(bytes, *offset + 1);
	entry->value = *offset;
	if (kv_scan_is_char(bytes, *offset, '\'') || kv_scan_is_char(bytes, *offset, '"'))
		return read_quoted(bytes, entry, offset);
	read_unquoted(bytes, entry, offset);
	return true;
}

/* Reads a name, its value and the line's end; false, and *offset where it got stuck. */
static bool
read_binding(const KvDotenvBytes *bytes, KvDotenvEntry *entry, size_t *offset)
{
	if (!read_name(bytes, entry, offset))
		return false;
	*offset = skip_space(bytes, *offset);
	if (kv_scan_is_char(bytes, *offset, '=') && !read_value(bytes, entry, offset))
		return false;
	*offset = skip_space(bytes, *offset);
	if (kv_scan_is_char(bytes, *offset, '#'))
		*offset = kv_scan_find_line_end(bytes, *offset);
	return kv_scan_is_line_end(bytes, *offset);
}

KvDotenvFound
kv_dotenv_python_next(KvDotenvReader *reader, KvDotenvEntry *entry)
{
	const KvDotenvBytes *bytes = &reader->bytes;

	if (reader->offset == 0)
		reader->offset = kv_scan_byte_order_mark(bytes);
	for (;;)
	{
		size_t		start;
		size_t		offset = skip_blank_lines(bytes, reader->offset, &start);
		bool		is_comment;
		bool		is_good;

		if (offset == bytes->len)
			return KV_DOTENV_END;
		memset(entry, 0, sizeof(*entry));
		entry->start = start;
		reader->line += kv_scan_count_line_ends(bytes, reader->counted, start);
		reader->counted = start;
		entry->line = reader->line;

		offset = skip_export(bytes, offset);
		is_comment = kv_scan_is_char(bytes, offset, '#');
		is_good = is_comment || read_binding(bytes, entry, &offset);
		entry->end = kv_scan_skip_line_end(bytes, kv_scan_find_line_end(bytes, offset));
		reader->offset = entry->end;
		if (!is_comment)
			return is_good ? KV_DOTENV_ENTRY : KV_DOTENV_ODD;
	}
}

/* The character that an escape stands for, or NUL when it stands for itself. */
static char
unescape(char quote, char c)
{
	static const char escapes[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";

	if (quote == '\'')
		return c == '\\' || c == '\'' ? c : '\0';
	for (const char *escape = escapes; *escape != '\0'; escape += 2)
	{
		if (c == escape[0])
			return escape[1];
	}
	return '\0';
}

bool
kv_dotenv_python_next_entry(KvDotenvReader *reader, KvDotenvEntry *entry)
{
	KvDotenvFound found;

	while ((found = kv_dotenv_python_next(reader, entry)) == KV_DOTENV_ODD)
		;
	return found == KV_DOTENV_ENTRY;
}

size_t
kv_dotenv_python_decode(const char *text, const KvDotenvEntry *entry, char *out)
{
	const char *in = text + entry->value;
	const char *end = in + entry->value_len;
	char	   *next = out;

	if (entry->quote == '\0')
	{
		if (entry->value_len > 0)
			memcpy(out, in, entry->value_len);
		return entry->value_len;
	}

	for (in++, end--; in < end; in++)
	{
		char		c = *in;

		if (c == '\\' && in + 1 < end && unescape(entry->quote, in[1]) != '\0')
			c = unescape(entry->quote, *++in);
		else if (c == '\r')
		{
			c = '\n';
			if (in + 1 < end && in[1] == '\n')
				in++;
		}
		*next++ = c;
	}
	return (size_t) (next - out);
}
