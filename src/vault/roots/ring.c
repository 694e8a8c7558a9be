/*
 * ring.c
 *		A set of root keys in locked memory, made from the text of a keyring.
 *
 * Where the text comes from, and when it is read again, is not known here.
 */
#include "postgres.h"

#include "format/keyring_text.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "vault/roots/ring.h"

static void
report_bad_text(KvStatus status, size_t line, const char *source)
{
	if (status == KV_CRYPTO_FAILURE || status == KV_NO_MEMORY)
		ereport(ERROR,
				(errcode(status == KV_NO_MEMORY ? ERRCODE_OUT_OF_MEMORY :
						 ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not read the keyring: %s", kv_status_text(status))));
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("line %zu of the keyring is not valid: %s",
					line, kv_status_text(status)),
			 errdetail("The keyring was read from %s.", source),
			 status == KV_ID_MISMATCH ?
			 errhint("The id or the root key was changed. Restore the line from a copy of the keyring.") :
			 status == KV_DUPLICATE ?
			 errhint("Remove one of the two lines.") :
			 errhint("A line has the form: <id, 16 hex digits> <base64 of 32 bytes> <RFC 3339 time>.")));
}

/* Checks one entry, and makes it ready for use. */
static KvStatus
key_from_entry(const KvKeyringEntry *entry, KvRootKey *key)
{
	KvStatus	status = kv_root_key_id(entry->key, key->id);

	if (status == KV_OK && memcmp(key->id, entry->id, KV_ROOT_KEY_ID_LEN) != 0)
		status = KV_ID_MISMATCH;
	if (status == KV_OK)
		status = kv_xaes_key_init(&key->key, entry->key);
	key->created_at = entry->created_at;
	key->maker = entry->maker;
	return status;
}

static int
compare_keys(const void *a, const void *b)
{
	return memcmp(((const KvRootKey *) a)->id, ((const KvRootKey *) b)->id,
				  KV_ROOT_KEY_ID_LEN);
}

/* ring is filled in as memory is taken, so that the caller can free it. */
static void
parse_into(const char *text, Size len, const char *source,
		   KvKeyringEntry *entries, size_t capacity, KvRing *ring)
{
	size_t		count;
	size_t		line;
	KvStatus	status;

	status = kv_keyring_parse(text, len, entries, capacity, &count, &line);
	if (status != KV_OK)
		report_bad_text(status, line, source);

	ring->allocated = Max(count, 1) * sizeof(KvRootKey);
	ring->keys = kv_locked_alloc(ring->allocated);
	for (size_t i = 0; i < count; i++)
	{
		status = key_from_entry(&entries[i], &ring->keys[i]);
		if (status != KV_OK)
			report_bad_text(status, entries[i].line, source);
	}
	ring->count = (int) count;

	/* The server's qsort swaps in place; the C library's may copy to its heap. */
	pg_qsort(ring->keys, count, sizeof(KvRootKey), compare_keys);
}

KvRing
kv_ring_parse(const char *text, Size len, const char *source)
{
	size_t		capacity = Max(kv_keyring_max_entries(text, len), 1);
	Size		allocated = capacity * sizeof(KvKeyringEntry);
	KvKeyringEntry *entries = kv_locked_alloc(allocated);
	KvRing		ring = {0};

	PG_TRY();
	{
		parse_into(text, len, source, entries, capacity, &ring);
	}
	PG_CATCH();
	{
		kv_locked_free(entries, allocated);
		kv_ring_free(&ring);
		PG_RE_THROW();
	}
	PG_END_TRY();

	kv_locked_free(entries, allocated);
	return ring;
}

const KvRootKey *
kv_ring_find(const KvRing *ring, const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	int			low = 0;
	int			high = ring->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = memcmp(id, ring->keys[middle].id, KV_ROOT_KEY_ID_LEN);

		if (order == 0)
			return &ring->keys[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void
kv_ring_free(KvRing *ring)
{
	kv_locked_free(ring->keys, ring->allocated);
	ring->keys = NULL;
	ring->allocated = 0;
	ring->count = 0;
}
