/*
 * keyring_text.c
 *		The keyring as text: one root key a line.
 *
 * This room reads and writes text.  Where the text comes from, and whether an id
 * belongs to its key, is not known here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base64.h"
#include "keyring_text.h"
#include "rfc3339.h"

#define ID_HEX_LEN	16
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* " [", 20 digits, "/", 10 digits, "/", 10 digits, "]" and a NUL */
#define MAKER_SIZE	46

/* A part of a line. */
typedef struct Span
{
	const char *data;
	size_t		len;
} Span;

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Takes the next line off the text, without its end.
 *
 * False for a CR that does not end a line, and for a NUL: an editor would show
 * such a line as something that it is not.  A CR that ends the text was a CRLF.
 */
static bool
take_line(Span *text, Span *line)
{
	const char *newline = memchr(text->data, '\n', text->len);
	size_t		taken;

	line->data = text->data;
	line->len = newline != NULL ? (size_t) (newline - text->data) : text->len;
	taken = newline != NULL ? line->len + 1 : line->len;
	text->data += taken;
	text->len -= taken;

	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	return memchr(line->data, '\r', line->len) == NULL &&
		memchr(line->data, '\0', line->len) == NULL;
}

/* Takes the next field off the line; an empty one when there is none. */
static Span
take_field(Span *line)
{
	Span		field;

	while (line->len > 0 && is_blank(*line->data))
	{
		line->data++;
		line->len--;
	}
	field.data = line->data;
	field.len = 0;
	while (line->len > 0 && !is_blank(*line->data))
	{
		line->data++;
		line->len--;
		field.len++;
	}
	return field;
}

static bool
is_end_or_comment(Span field)
{
	return field.len == 0 || field.data[0] == '#';
}

static bool
parse_id(Span field, uint8_t id[static 8])
{
	memset(id, 0, 8);
	if (field.len != ID_HEX_LEN)
		return false;

	for (size_t i = 0; i < ID_HEX_LEN; i++)
	{
		char		c = field.data[i];
		int			digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			return false;
		id[i / 2] = (uint8_t) (id[i / 2] << 4 | digit);
	}
	return true;
}

/* Takes a number off the text.  False when there is none, or it is larger than max. */
static bool
take_number(Span *text, uint64_t max, uint64_t *number)
{
	const size_t before = text->len;

	*number = 0;
	while (text->len > 0 && *text->data >= '0' && *text->data <= '9')
	{
		uint64_t	digit = (uint64_t) (*text->data - '0');

		if (*number > (max - digit) / 10)
			return false;
		*number = *number * 10 + digit;
		text->data++;
		text->len--;
	}
	return text->len < before;
}

static bool
take_character(Span *text, char c)
{
	if (text->len == 0 || *text->data != c)
		return false;
	text->data++;
	text->len--;
	return true;
}

/* Reads "[cluster/database/extension]". */
static bool
parse_maker(Span field, KvKeyringMaker *maker)
{
	uint64_t	database;
	uint64_t	extension;

	if (!take_character(&field, '[') ||
		!take_number(&field, UINT64_MAX, &maker->cluster) ||
		!take_character(&field, '/') ||
		!take_number(&field, UINT32_MAX, &database) ||
		!take_character(&field, '/') ||
		!take_number(&field, UINT32_MAX, &extension) ||
		!take_character(&field, ']') || field.len > 0)
		return false;
	maker->database = (uint32_t) database;
	maker->extension = (uint32_t) extension;
	return maker->cluster != 0;
}

/* Who made the root key, as the last field of a comment tells. */
static KvKeyringMaker
maker_in_comment(Span comment)
{
	const KvKeyringMaker unknown = {0, 0, 0};
	KvKeyringMaker maker;
	Span		last = {NULL, 0};
	Span		field;

	while ((field = take_field(&comment)).len > 0)
		last = field;
	return parse_maker(last, &maker) ? maker : unknown;
}

/* Reads the rest of a line whose first field was the id. */
static KvStatus
parse_entry(Span id, Span rest, KvKeyringEntry *entry)
{
	Span		key = take_field(&rest);
	Span		time = take_field(&rest);

	entry->maker = maker_in_comment(rest);

	if (!parse_id(id, entry->id))
		return KV_SYNTAX;
	if (is_end_or_comment(key) || is_end_or_comment(time) ||
		!is_end_or_comment(take_field(&rest)))
		return KV_SYNTAX;
	if (!kv_base64_decode_key(key.data, key.len, entry->key))
		return KV_BAD_KEY;
	if (!kv_rfc3339_parse(time.data, time.len, &entry->created_at))
		return KV_BAD_TIME;
	return KV_OK;
}

static KvStatus
parse_lines(Span text, KvKeyringEntry *entries, size_t capacity,
			size_t *count, size_t *line_number)
{
	*count = 0;
	for (*line_number = 1; text.len > 0; (*line_number)++)
	{
		Span		line;
		Span		first;
		KvStatus	status;

		if (!take_line(&text, &line))
			return KV_SYNTAX;
		first = take_field(&line);
		if (is_end_or_comment(first))
			continue;

		if (*count == capacity)
			return KV_TOO_LARGE;
		status = parse_entry(first, line, &entries[*count]);
		entries[*count].line = *line_number;
		(*count)++;
		if (status != KV_OK)
			return status;
	}
	return KV_OK;
}

/* What is sorted to find duplicates: no key is copied. */
typedef struct IdAndLine
{
	uint8_t		id[8];
	size_t		line;
} IdAndLine;

static int
compare_ids(const void *a, const void *b)
{
	const IdAndLine *left = a;
	const IdAndLine *right = b;
	int			order = memcmp(left->id, right->id, sizeof(left->id));

	if (order != 0)
		return order;
	return (left->line > right->line) - (left->line < right->line);
}

/* *line is set to the first line that repeats an id. */
static KvStatus
check_duplicates(const KvKeyringEntry *entries, size_t count, size_t *line)
{
	IdAndLine  *ids;
	KvStatus	status = KV_OK;

	if (count < 2)
		return KV_OK;
	ids = calloc(count, sizeof(*ids));
	if (ids == NULL)
		return KV_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
	{
		memcpy(ids[i].id, entries[i].id, sizeof(ids[i].id));
		ids[i].line = entries[i].line;
	}
	qsort(ids, count, sizeof(*ids), compare_ids);

	for (size_t i = 1; i < count; i++)
	{
		if (memcmp(ids[i - 1].id, ids[i].id, sizeof(ids[i].id)) == 0 &&
			(status == KV_OK || ids[i].line < *line))
		{
			status = KV_DUPLICATE;
			*line = ids[i].line;
		}
	}
	free(ids);
	return status;
}

size_t
kv_keyring_max_entries(const char *text, size_t len)
{
	size_t		lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	/* A last line without its end */
	if (len > 0 && text[len - 1] != '\n')
		lines++;
	return lines;
}

KvStatus
kv_keyring_parse(const char *text, size_t len,
				 KvKeyringEntry *entries, size_t capacity,
				 size_t *count, size_t *line)
{
	Span		all = {text, len};
	KvStatus	status;

	/* Editors put it there, and show nothing of it */
	if (len >= strlen(BYTE_ORDER_MARK) &&
		memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
	{
		all.data += strlen(BYTE_ORDER_MARK);
		all.len -= strlen(BYTE_ORDER_MARK);
	}
	status = parse_lines(all, entries, capacity, count, line);
	if (status == KV_OK)
	{
		*line = 0;
		status = check_duplicates(entries, *count, line);
	}
	if (status != KV_OK)
	{
		OPENSSL_cleanse(entries, *count * sizeof(*entries));
		*count = 0;
	}
	return status;
}

/* " [cluster/database/extension]", or nothing. */
static size_t
format_maker(const KvKeyringMaker *maker, char out[static MAKER_SIZE])
{
	out[0] = '\0';
	if (maker->cluster == 0)
		return 0;
	return (size_t) snprintf(out, MAKER_SIZE, " [%" PRIu64 "/%" PRIu32 "/%" PRIu32 "]",
							 maker->cluster, maker->database, maker->extension);
}

KvStatus
kv_keyring_format_line(const KvKeyringEntry *entry, const char *comment,
					   char *out, size_t size, size_t *len)
{
	static const char digits[] = "0123456789abcdef";
	const size_t comment_len = comment != NULL ? strlen(comment) : 0;
	char		maker[MAKER_SIZE];
	const size_t maker_len = format_maker(&entry->maker, maker);
	const bool	has_comment = comment != NULL || maker_len > 0;
	char		time[KV_RFC3339_LEN];
	char	   *end = out;

	*len = 0;
	if (!kv_rfc3339_format(entry->created_at, time))
		return KV_BAD_TIME;

	/* Two separators, " # ", the line's end and a NUL */
	if (comment_len >= size ||
		size - comment_len < ID_HEX_LEN + 1 + KV_BASE64_KEY_LEN + 1 +
		KV_RFC3339_LEN + (has_comment ? 3 : 0) + maker_len + 2)
		return KV_TOO_LARGE;

	for (size_t i = 0; i < sizeof(entry->id); i++)
	{
		*end++ = digits[entry->id[i] >> 4];
		*end++ = digits[entry->id[i] & 15];
	}
	*end++ = ' ';
	kv_base64_encode_key(entry->key, end);
	end += KV_BASE64_KEY_LEN;
	*end++ = ' ';
	memcpy(end, time, KV_RFC3339_LEN);
	end += KV_RFC3339_LEN;
	if (has_comment)
	{
		memcpy(end, " # ", 3);
		end += 3;
		for (size_t i = 0; i < comment_len; i++)
		{
			unsigned char c = (unsigned char) comment[i];

			*end++ = c < 0x20 || c == 0x7f ? '?' : comment[i];
		}
		memcpy(end, maker, maker_len);
		end += maker_len;
	}
	*end++ = '\n';
	*end = '\0';
	*len = (size_t) (end - out);
	return KV_OK;
}
