/*
 * dotenv_scan.c
 *		Characters and lines of a .env file, for dotenv_read.c.
 */
#include <string.h>

#include "dotenv_scan.h"

size_t
kv_scan_blank_at(const KvDotenvReader *reader, size_t offset)
{
	const unsigned char *c = (const unsigned char *) reader->text + offset;
	size_t		left = reader->len - offset;

	if (left >= 1 && (c[0] == ' ' || c[0] == '\t' || c[0] == '\v' || c[0] == '\f'))
		return 1;
	if (left >= 2 && c[0] == 0xc2 && c[1] == 0xa0)	/* U+00A0 */
		return 2;
	if (left >= 3 && c[0] == 0xe1 && c[1] == 0x9a && c[2] == 0x80)	/* U+1680 */
		return 3;
	if (left >= 3 && c[0] == 0xe2 && c[1] == 0x80 &&
		((c[2] >= 0x80 && c[2] <= 0x8a) || c[2] == 0xaf))	/* U+2000 to 200A, 202F */
		return 3;
	if (left >= 3 && c[0] == 0xe2 && c[1] == 0x81 && c[2] == 0x9f)	/* U+205F */
		return 3;
	if (left >= 3 && c[0] == 0xe3 && c[1] == 0x80 && c[2] == 0x80)	/* U+3000 */
		return 3;
	return 0;
}

size_t
kv_scan_skip_blanks(const KvDotenvReader *reader, size_t offset)
{
	size_t		blank;

	while ((blank = kv_scan_blank_at(reader, offset)) > 0)
		offset += blank;
	return offset;
}

bool
kv_scan_is_line_end(const KvDotenvReader *reader, size_t offset)
{
	return offset == reader->len ||
		reader->text[offset] == '\n' || reader->text[offset] == '\r';
}

bool
kv_scan_is_char(const KvDotenvReader *reader, size_t offset, char c)
{
	return offset < reader->len && reader->text[offset] == c;
}

bool
kv_scan_is_quote(const KvDotenvReader *reader, size_t offset)
{
	return kv_scan_is_char(reader, offset, '\'') ||
		kv_scan_is_char(reader, offset, '"') ||
		kv_scan_is_char(reader, offset, '`');
}

size_t
kv_scan_find_line_end(const KvDotenvReader *reader, size_t offset)
{
	while (!kv_scan_is_line_end(reader, offset))
		offset++;
	return offset;
}

size_t
kv_scan_skip_line_end(const KvDotenvReader *reader, size_t offset)
{
	if (kv_scan_is_char(reader, offset, '\r'))
		return offset + (kv_scan_is_char(reader, offset + 1, '\n') ? 2 : 1);
	if (kv_scan_is_char(reader, offset, '\n'))
		return offset + 1;
	return offset;
}

size_t
kv_scan_count_line_ends(const KvDotenvReader *reader, size_t from, size_t to)
{
	size_t		lines = 0;

	while (from < to)
	{
		size_t		next = kv_scan_skip_line_end(reader, from);

		lines += next > from;
		from = next > from ? next : from + 1;
	}
	return lines;
}

bool
kv_scan_has_odd_space(const KvDotenvReader *reader, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
	{
		const unsigned char *c = (const unsigned char *) reader->text + i;
		size_t		left = to - i;

		if (c[0] >= 0x1c && c[0] <= 0x1f)
			return true;
		if (left >= 2 && c[0] == 0xc2 && c[1] == 0x85)
			return true;
		if (left >= 3 && c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9))
			return true;
		if (left >= 3 && c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf)
			return true;
	}
	return false;
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

size_t
kv_scan_word_len(const KvDotenvReader *reader, size_t offset, size_t len)
{
	size_t		taken = 0;

	while (taken < len && is_word_char(reader->text[offset + taken]))
		taken++;
	return taken;
}

bool
kv_scan_is_printable_ascii(const KvDotenvReader *reader, size_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) reader->text[offset + i];

		if (c <= 0x20 || c >= 0x7f)
			return false;
	}
	return true;
}
