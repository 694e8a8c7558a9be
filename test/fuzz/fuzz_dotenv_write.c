/*
 * fuzz_dotenv_write.c
 *		A value that is written is read back, and nothing else has changed, to neither
 *		reader.
 *
 * The input's first byte is the length of the value, which follows; the rest is the
 * text.
 */
#include <stdint.h>
#include <string.h>

#include "format/dotenv.h"
#include "format/dotenv_readers.h"
#include "require.h"

#define NAME	"KEY"

static size_t
count_lines(const char *text, size_t len)
{
	size_t		lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n' || (text[i] == '\r' && (i + 1 == len || text[i + 1] != '\n'));
	return lines;
}

typedef bool (*Next) (KvDotenvReader *reader, KvDotenvEntry *entry);

/* The next entry that is not NAME's; false at the end. */
static bool
next_other(Next next, KvDotenvReader *reader, KvDotenvEntry *entry)
{
	bool		found;

	do
		found = next(reader, entry);
	while (found && entry->name_len == strlen(NAME) &&
		   memcmp(reader->bytes.text + entry->name, NAME, strlen(NAME)) == 0);
	return found;
}

/* From its name to where its value ends, or its name. */
static size_t
length_of(const KvDotenvEntry *entry)
{
	return (entry->has_value && entry->value_len > 0 ? entry->value + entry->value_len :
			entry->name + entry->name_len) - entry->name;
}

static void
require_same_to(Next next, const char *before, size_t before_len, const char *after, size_t after_len)
{
	KvDotenvReader readers[2];
	KvDotenvEntry entries[2];

	kv_dotenv_begin(&readers[0], before, before_len);
	kv_dotenv_begin(&readers[1], after, after_len);
	while (next_other(next, &readers[0], &entries[0]))
	{
		require(next_other(next, &readers[1], &entries[1]));
		require(entries[0].has_value == entries[1].has_value);
		require(entries[0].quote == entries[1].quote);
		require(length_of(&entries[0]) == length_of(&entries[1]));
		require(memcmp(before + entries[0].name, after + entries[1].name,
					   length_of(&entries[0])) == 0);
	}
	require(!next_other(next, &readers[1], &entries[1]));
}

static void
require_same_others(const char *before, size_t before_len, const char *after, size_t after_len)
{
	require_same_to(kv_dotenv_python_next_entry, before, before_len, after, after_len);
	require_same_to(kv_dotenv_npm_next, before, before_len, after, after_len);
}

/* A last line that had no end may have been given one: that is what the others are compared with then. */
static void
require_same_below(const char *before, size_t before_len, const char *after, size_t after_len)
{
	bool		added = before_len > 0 && after_len > before_len && memcmp(before, after, before_len) == 0 &&
		before[before_len - 1] != '\n' && before[before_len - 1] != '\r';

	if (added && after[before_len] == '\n')
		require_same_others(after, before_len + 1, after, after_len);
	else if (added && after[before_len] == '\r')
		require_same_others(after, before_len + (before_len + 1 < after_len && after[before_len + 1] == '\n' ? 2 : 1), after, after_len);
	else
		require_same_others(before, before_len, after, after_len);
}

static void
require_value(const char *text, size_t len, const char *expected, size_t expected_len)
{
	KvDotenvValue value = {.size = len, .data = malloc(len)};
	size_t		line;

	require(kv_dotenv_get(text, len, NAME, &value, &line) == KV_OK);
	require(value.found == (expected != NULL));
	if (value.found)
		require(value.len == expected_len &&
				(expected_len == 0 || memcmp(value.data, expected, expected_len) == 0));
	free(value.data);
}

static void
set(const char *text, size_t len, const char *value, size_t value_len)
{
	char	   *out;
	char	   *again;
	size_t		out_len;
	size_t		again_len;
	size_t		line;
	KvStatus	status = kv_dotenv_set(text, len, NAME, value, value_len,
									   &out, &out_len, &line);

	require((status == KV_OK) == (out != NULL));
	require(status == KV_OK || status == KV_SYNTAX || status == KV_UNREPRESENTABLE);
	if (status != KV_OK)
		return;
	require_value(out, out_len, value, value_len);
	require_same_below(text, len, out, out_len);
	require(count_lines(out, out_len) <= count_lines(text, len) + 3);

	/* Once more changes nothing */
	require(kv_dotenv_set(out, out_len, NAME, value, value_len,
						  &again, &again_len, &line) == KV_OK);
	require(again_len == out_len && memcmp(again, out, out_len) == 0);
	kv_dotenv_free(out, out_len);
	kv_dotenv_free(again, again_len);
}

static void
unset(const char *text, size_t len)
{
	char	   *out;
	size_t		out_len;
	size_t		line;
	KvStatus	status = kv_dotenv_unset(text, len, NAME, &out, &out_len, &line);

	require((status == KV_OK) == (out != NULL));
	require(status == KV_OK || status == KV_SYNTAX || status == KV_AMBIGUOUS);
	require(status == KV_OK || line > 0);
	if (status != KV_OK)
		return;
	require(out_len <= len);
	require_value(out, out_len, NULL, 0);
	require_same_others(text, len, out, out_len);
	kv_dotenv_free(out, out_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		value_len;
	const char *text;

	if (size == 0)
		return 0;
	value_len = data[0] < size - 1 ? data[0] : size - 1;
	text = (const char *) data + 1 + value_len;
	set(text, size - 1 - value_len, (const char *) data + 1, value_len);
	unset(text, size - 1 - value_len);
	return 0;
}
