/*
 * fuzz_keyring_text.c
 *		Any text is a keyring or an error, and a keyring reads as it is written.
 */
#include <stdint.h>
#include <string.h>

#include "format/keyring_text.h"
#include "require.h"

static void
writes_and_reads_back(const KvKeyringEntry *entry, const char *comment)
{
	KvKeyringEntry again;
	char		line[512];
	size_t		len;
	size_t		count;
	size_t		error_line;

	KvStatus	status = kv_keyring_format_line(entry, comment, line, sizeof(line), &len);

	/* An offset can carry a time out of the years that can be written */
	if (status == KV_BAD_TIME || status == KV_TOO_LARGE)
		return;
	require(status == KV_OK);
	require(kv_keyring_parse(line, len, &again, 1, &count, &error_line) == KV_OK);
	require(count == 1 && again.line == 1);
	require(memcmp(again.id, entry->id, sizeof(again.id)) == 0);
	require(memcmp(again.key, entry->key, sizeof(again.key)) == 0);
	require(again.created_at == entry->created_at);
	/* Without a maker of its own, a comment may look as if it told of one */
	require(entry->maker.cluster == 0 ||
			(again.maker.cluster == entry->maker.cluster &&
			 again.maker.database == entry->maker.database &&
			 again.maker.extension == entry->maker.extension));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		capacity = kv_keyring_max_entries((const char *) data, size);
	KvKeyringEntry *entries = calloc(capacity + 1, sizeof(*entries));
	char		comment[256] = "";
	size_t		count;
	size_t		line;
	KvStatus	status;

	memcpy(comment, data, size < sizeof(comment) - 1 ? size : sizeof(comment) - 1);
	status = kv_keyring_parse((const char *) data, size, entries, capacity, &count, &line);
	require(status != KV_TOO_LARGE);
	require((status == KV_OK) == (line == 0));
	require(status == KV_OK || (count == 0 && line <= capacity));
	require(count <= capacity);
	for (size_t i = 0; i < count; i++)
	{
		require(entries[i].line >= 1 && entries[i].line <= capacity);
		writes_and_reads_back(&entries[i], i % 2 == 0 ? comment : NULL);
	}
	free(entries);
	return 0;
}
