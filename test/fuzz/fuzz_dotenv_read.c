/*
 * fuzz_dotenv_read.c
 *		Any text is a .env file or an error, and entries lie where they say.
 */
#include <stdint.h>
#include <string.h>

#include "format/dotenv.h"
#include "require.h"

static void
check_entry(const KvDotenvReader *reader, const KvDotenvEntry *entry)
{
	char	   *value = malloc(entry->value_len);

	require(entry->start < entry->end && entry->end <= reader->len);
	require(entry->name >= entry->start && entry->name_len > 0);
	require(entry->name + entry->name_len <= entry->end);
	if (entry->has_value)
	{
		require(entry->value > entry->name + entry->name_len - 1);
		require(entry->value + entry->value_len <= entry->end);
		require(entry->quote == '\0' ||
				(entry->value_len >= 2 && reader->text[entry->value] == entry->quote));
		require(kv_dotenv_decode(reader, entry, value) <= entry->value_len);
	}
	free(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	KvDotenvReader reader;
	KvDotenvEntry entry;
	KvDotenvValue value = {.size = size};
	size_t		end = 0;
	size_t		line = 0;
	bool		found = true;
	KvStatus	status = kv_dotenv_begin(&reader, text, size);

	while (status == KV_OK && found)
	{
		status = kv_dotenv_next(&reader, &entry, &found);
		require(status == KV_OK || (status == KV_SYNTAX && !found));
		if (!found)
			continue;
		require(entry.start >= end && entry.line > line);
		end = entry.end;
		line = entry.line;
		check_entry(&reader, &entry);
	}
	require(status == KV_OK || (reader.line >= 1 && reader.line >= line));

	/* Looking up goes the same way */
	value.data = malloc(size);
	require(kv_dotenv_get(text, size, "KEY", &value, &line) == status);
	require(line == (status == KV_OK ? 0 : reader.line));
	require(!value.found || value.len <= size);
	free(value.data);
	return 0;
}
