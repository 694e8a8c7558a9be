/*
 * dotenv_read.c
 *		Reading the text of a .env file.
 *
 * Which file that is, and what a variable means, is not known here.  See dotenv.h
 * for how this relates to what python-dotenv and npm's dotenv read.
 */
#include <string.h>

#include "dotenv.h"
#include "dotenv_scan.h"

static const char byte_order_mark[] = "\xef\xbb\xbf";

#define BYTE_ORDER_MARK_LEN	(sizeof(byte_order_mark) - 1)

/* "export" and white space, if it stands here, is skipped. */
static size_t
skip_export(const KvDotenvReader *reader, size_t offset)
{
	if (reader->len - offset > 6 && memcmp(reader->text + offset, "export", 6) == 0 &&
		kv_scan_blank_at(reader, offset + 6) > 0)
		return kv_scan_skip_blanks(reader, offset + 6);
	return offset;
}

/*
 * Finds the quote that closes the one at offset; false if there is none.
 *
 * Both libraries search with (?:\\"|[^"])*": a quote behind a backslash does not
 * close, whatever stands in front of that, unless no other one does.
 */
static bool
find_closing_quote(const KvDotenvReader *reader, size_t offset, size_t *closing)
{
	char		quote = reader->text[offset];
	bool		found = false;

	for (size_t i = offset + 1; i < reader->len; i++)
	{
		if (reader->text[i] != quote)
			continue;
		*closing = i;
		found = true;
		if (reader->text[i - 1] != '\\')
			break;
	}
	return found;
}

/* Reads a quoted value; *offset is then behind its comment. */
static bool
read_quoted(const KvDotenvReader *reader, KvDotenvEntry *entry, size_t *offset)
{
	size_t		closing;

	if (!find_closing_quote(reader, *offset, &closing))
		return false;
	entry->quote = reader->text[*offset];
	entry->value = *offset;
	entry->value_len = closing + 1 - *offset;

	/* Over more than one line only if npm's dotenv sees an assignment, too */
	if (kv_scan_find_line_end(reader, *offset) < closing &&
		kv_scan_word_len(reader, entry->name, entry->name_len) < entry->name_len)
		return false;

	*offset = kv_scan_skip_blanks(reader, closing + 1);
	if (kv_scan_is_char(reader, *offset, '#'))
		*offset = kv_scan_find_line_end(reader, *offset);
	return kv_scan_is_line_end(reader, *offset);
}

/* Reads a value without quotes, from entry->value to the line's end. */
static bool
read_unquoted(const KvDotenvReader *reader, KvDotenvEntry *entry, size_t *offset)
{
	const size_t line_end = kv_scan_find_line_end(reader, entry->value);
	bool		blank_before = false;
	size_t		closing = 0;
	size_t		i = entry->value;

	/* To npm's dotenv a backquote that is closed further down quotes all between */
	if (kv_scan_is_char(reader, i, '`') && find_closing_quote(reader, i, &closing) &&
		closing > line_end)
		return false;

	entry->value_len = 0;
	while (i < line_end)
	{
		size_t		blank = kv_scan_blank_at(reader, i);

		if (reader->text[i] == '#' && blank_before)
			break;
		blank_before = blank > 0;
		i += blank > 0 ? blank : 1;
		if (blank == 0)
			entry->value_len = i - entry->value;
	}
	*offset = line_end;
	return true;
}

/* Reads what stands behind the =, which is at offset. */
static bool
read_value(const KvDotenvReader *reader, KvDotenvEntry *entry, size_t *offset)
{
	size_t		start = kv_scan_skip_blanks(reader, *offset + 1);

	entry->has_value = true;
	entry->quote = '\0';
	if (kv_scan_is_char(reader, start, '\'') || kv_scan_is_char(reader, start, '"'))
	{
		*offset = start;
		return read_quoted(reader, entry, offset);
	}
	/* An empty value stands right behind the =: a new one goes in front of the blanks */
	if (kv_scan_is_line_end(reader, start) || kv_scan_is_char(reader, start, '#'))
		start = *offset + 1;
	entry->value = start;
	return read_unquoted(reader, entry, offset);
}

/*
 * Reads one line, or more if a value in quotes goes on.  *is_entry tells whether it
 * assigns or names a variable.  Sets entry->start and end in any case.
 */
static bool
read_line(const KvDotenvReader *reader, KvDotenvEntry *entry, bool *is_entry)
{
	size_t		offset = kv_scan_skip_blanks(reader, reader->offset);
	size_t		word;

	*is_entry = false;
	entry->start = reader->offset;
	entry->line = reader->line;
	entry->has_value = false;
	entry->value = entry->value_len = 0;
	entry->quote = '\0';

	offset = skip_export(reader, offset);
	if (kv_scan_is_quote(reader, offset) || kv_scan_is_char(reader, offset, '='))
		return false;

	entry->name = offset;
	while (!kv_scan_is_line_end(reader, offset) && !kv_scan_is_char(reader, offset, '=') &&
		   !kv_scan_is_char(reader, offset, '#') && kv_scan_blank_at(reader, offset) == 0)
		offset++;
	entry->name_len = offset - entry->name;

	/* "NAME: value", which only npm's dotenv reads, even on the next line */
	word = kv_scan_word_len(reader, entry->name, entry->name_len);
	if (word > 0 && word + 1 == entry->name_len &&
		kv_scan_is_char(reader, entry->name + word, ':') &&
		!kv_scan_is_char(reader, offset, '=') && !kv_scan_is_char(reader, offset, '#'))
		return false;

	offset = kv_scan_skip_blanks(reader, offset);
	if (entry->name_len > 0 && kv_scan_is_char(reader, offset, '='))
	{
		if (!kv_scan_is_printable_ascii(reader, entry->name, entry->name_len) ||
			!read_value(reader, entry, &offset))
			return false;
		*is_entry = word == entry->name_len;
	}
	else
	{
		*is_entry = word > 0 && word == entry->name_len &&
			(kv_scan_is_line_end(reader, offset) || kv_scan_is_char(reader, offset, '#'));
		offset = kv_scan_find_line_end(reader, offset);
	}

	entry->end = kv_scan_skip_line_end(reader, offset);
	if (entry->quote != '\0')
		return !kv_scan_has_odd_space(reader, entry->start, entry->value) &&
			!kv_scan_has_odd_space(reader, entry->value + entry->value_len, entry->end);
	return !kv_scan_has_odd_space(reader, entry->start, entry->end);
}

bool
kv_dotenv_name_is_good(const char *name)
{
	if (*name == '\0' || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name != '\0'; name++)
	{
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			  (*name >= '0' && *name <= '9') || *name == '_'))
			return false;
	}
	return true;
}

KvStatus
kv_dotenv_begin(KvDotenvReader *reader, const char *text, size_t len)
{
	const char *nul;

	reader->text = text;
	reader->len = len;
	reader->offset = 0;
	reader->line = 0;
	if (len > KV_DOTENV_MAX)
		return KV_TOO_LARGE;

	reader->line = 1;
	nul = len > 0 ? memchr(text, '\0', len) : NULL;
	if (nul != NULL)
	{
		reader->line += kv_scan_count_line_ends(reader, 0, (size_t) (nul - text));
		return KV_SYNTAX;
	}
	if (len >= BYTE_ORDER_MARK_LEN &&
		memcmp(text, byte_order_mark, BYTE_ORDER_MARK_LEN) == 0)
		reader->offset = BYTE_ORDER_MARK_LEN;
	return KV_OK;
}

KvStatus
kv_dotenv_next(KvDotenvReader *reader, KvDotenvEntry *entry, bool *found)
{
	*found = false;
	while (!*found && reader->offset < reader->len)
	{
		if (!read_line(reader, entry, found))
		{
			*found = false;
			return KV_SYNTAX;
		}
		reader->line += kv_scan_count_line_ends(reader, entry->start, entry->end);
		reader->offset = entry->end;
	}
	return KV_OK;
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

size_t
kv_dotenv_decode(const KvDotenvReader *reader, const KvDotenvEntry *entry, char *out)
{
	const char *in = reader->text + entry->value;
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

KvStatus
kv_dotenv_get(const char *text, size_t len, const char *name,
			  KvDotenvValue *value, size_t *line)
{
	const size_t name_len = strlen(name);
	KvDotenvReader reader;
	KvDotenvEntry entry;
	KvDotenvEntry last = {.has_value = false};
	bool		found;
	KvStatus	status;

	*line = 0;
	value->found = false;
	value->len = 0;
	value->line = 0;

	status = kv_dotenv_begin(&reader, text, len);
	while (status == KV_OK)
	{
		status = kv_dotenv_next(&reader, &entry, &found);
		if (status != KV_OK || !found)
			break;
		if (entry.has_value && entry.name_len == name_len &&
			memcmp(text + entry.name, name, name_len) == 0)
			last = entry;
	}
	if (status != KV_OK)
	{
		*line = reader.line;
		return status;
	}
	if (!last.has_value)
		return KV_OK;

	/* Decoding never makes it longer, but it might make it fit */
	if (last.value_len > value->size)
	{
		*line = last.line;
		return KV_TOO_LARGE;
	}
	value->found = true;
	value->len = kv_dotenv_decode(&reader, &last, value->data);
	value->line = last.line;
	return KV_OK;
}
