/*
 * dotenv_scan.c
 *		Characters and lines of a .env file, as its two readers know them.
 */
#include <string.h>

#include "dotenv_scan.h"

static bool
is_at(const KvDotenvBytes *bytes, size_t offset, const char *character, size_t len)
{
	return bytes->len - offset >= len && memcmp(bytes->text + offset, character, len) == 0;
}

/* U+2028 and U+2029: white space to both, and to npm's dotenv ends of lines. */
static size_t
separator(const KvDotenvBytes *bytes, size_t offset)
{
	return is_at(bytes, offset, "\xe2\x80\xa8", 3) || is_at(bytes, offset, "\xe2\x80\xa9", 3) ? 3 : 0;
}

/* What is white space in Python and in JavaScript. */
static size_t
common_space(const KvDotenvBytes *bytes, size_t offset)
{
	const unsigned char *c = (const unsigned char *) bytes->text + offset;
	size_t		left = bytes->len - offset;

	if (left == 0)
		return 0;
	if (c[0] == '\r' && left >= 2 && c[1] == '\n')
		return 2;
	if (c[0] == ' ' || (c[0] >= '\t' && c[0] <= '\r'))
		return 1;
	if (is_at(bytes, offset, "\xc2\xa0", 2))
		return 2;
	if (left >= 3 && c[0] == 0xe2 && c[1] == 0x80 &&
		((c[2] >= 0x80 && c[2] <= 0x8a) || c[2] == 0xaf))	/* U+2000 to 200A, 202F */
		return 3;
	if (is_at(bytes, offset, "\xe1\x9a\x80", 3) ||	/* U+1680 */
		is_at(bytes, offset, "\xe2\x81\x9f", 3) ||	/* U+205F */
		is_at(bytes, offset, "\xe3\x80\x80", 3))	/* U+3000 */
		return 3;
	return separator(bytes, offset);
}

size_t
kv_scan_python_space(const KvDotenvBytes *bytes, size_t offset)
{
	size_t		space = common_space(bytes, offset);

	if (space > 0 || offset == bytes->len)
		return space;
	if (bytes->text[offset] >= 0x1c && bytes->text[offset] <= 0x1f)
		return 1;
	return is_at(bytes, offset, "\xc2\x85", 2) ? 2 : 0;
}

size_t
kv_scan_npm_space(const KvDotenvBytes *bytes, size_t offset)
{
	size_t		space = common_space(bytes, offset);

	return space > 0 ? space : is_at(bytes, offset, "\xef\xbb\xbf", 3) ? 3 : 0;
}

size_t
kv_scan_skip_space(const KvDotenvBytes *bytes, size_t offset, KvDotenvSpace space)
{
	size_t		len;

	while ((len = space(bytes, offset)) > 0)
		offset += len;
	return offset;
}

size_t
kv_scan_skip_space_on_line(const KvDotenvBytes *bytes, size_t offset, KvDotenvSpace space)
{
	size_t		len;

	while (!kv_scan_is_line_end(bytes, offset) && (len = space(bytes, offset)) > 0)
		offset += len;
	return offset;
}

bool
kv_scan_is_char(const KvDotenvBytes *bytes, size_t offset, char c)
{
	return offset < bytes->len && bytes->text[offset] == c;
}

bool
kv_scan_is_word(const KvDotenvBytes *bytes, size_t offset, const char *word)
{
	return is_at(bytes, offset, word, strlen(word));
}

bool
kv_scan_is_line_end(const KvDotenvBytes *bytes, size_t offset)
{
	return offset == bytes->len ||
		bytes->text[offset] == '\n' || bytes->text[offset] == '\r';
}

size_t
kv_scan_find_line_end(const KvDotenvBytes *bytes, size_t offset)
{
	while (!kv_scan_is_line_end(bytes, offset))
		offset++;
	return offset;
}

size_t
kv_scan_skip_line_end(const KvDotenvBytes *bytes, size_t offset)
{
	if (kv_scan_is_char(bytes, offset, '\r'))
		return offset + (kv_scan_is_char(bytes, offset + 1, '\n') ? 2 : 1);
	if (kv_scan_is_char(bytes, offset, '\n'))
		return offset + 1;
	return offset;
}

size_t
kv_scan_count_line_ends(const KvDotenvBytes *bytes, size_t from, size_t to)
{
	size_t		lines = 0;

	while (from < to)
	{
		size_t		next = kv_scan_skip_line_end(bytes, from);

		lines += next > from;
		from = next > from ? next : from + 1;
	}
	return lines;
}

size_t
kv_scan_npm_line_end(const KvDotenvBytes *bytes, size_t offset)
{
	size_t		len = kv_scan_skip_line_end(bytes, offset) - offset;

	return len > 0 ? len : separator(bytes, offset);
}

size_t
kv_scan_byte_order_mark(const KvDotenvBytes *bytes)
{
	return is_at(bytes, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

size_t
kv_scan_word_len(const KvDotenvBytes *bytes, size_t offset)
{
	size_t		end = offset;

	while (end < bytes->len && is_word_char(bytes->text[end]))
		end++;
	return end - offset;
}
