/*
 * keyring_change.c
 *		Adding a root key to the keyring's file: the one place that writes it.
 *
 * The file is not part of the transaction: it is on disk before the row that registers
 * its root key.  So a call that was rolled back leaves a line, and the next one uses it.
 * An older line is left alone: a keyring that leaked takes its unused root keys
 * along, and who then makes a new one must get a new one.
 */
#include "postgres.h"

#include <time.h>

#include "access/xlog.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "format/keyring_text.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/file_change.h"
#include "server/locked_memory.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring_change.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/ring.h"
#include "vault/roots/root_key_id.h"

/* What a new file begins with. */
static const char file_header[] =
"# Root keys of key_vault. Without this file, what they seal is lost: keep a copy\n"
"# elsewhere. A line is <id> <base64 of 32 bytes> <RFC 3339 time>, and after a #\n"
"# the name of the database that made it, with [cluster/database/extension].\n";

/* A line of ours: fields, and a comment with a database's name and its numbers. */
#define LINE_SIZE (192 + sizeof("database \"\"") + NAMEDATALEN)

#define SECONDS_TO_TAKE_A_LEFTOVER (60 * 60)

/* A root key, as far as it is public. */
typedef struct MadeKey
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	int64		created_at;
} MadeKey;

/* The file as it was, and as it shall be. */
typedef struct FileChange
{
	char	   *path;
	KvKeyringText before;
	KvKeyringText after;
} FileChange;

/* Nothing is minted over old data. */
static void
check_nothing_is_missing(const KvRing *ring, const char *path)
{
	int			count;
	KvRootKeyRow *rows = kv_root_key_rows_read(&count);

	for (int i = 0; i < count; i++)
	{
		if (!rows[i].is_retired && kv_ring_find(ring, rows[i].id) == NULL)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("root key %s is not in the keyring",
							kv_root_key_id_spelled(rows[i].id)),
					 errdetail("This database registered it. No other root key is made while the keyring is not complete. %s",
							   kv_keyring_source_detail(psprintf("file \"%s\"", path))),
					 errhint("%s", kv_keyring_missing_key_hint())));
	}
	pfree(rows);
}

/* What was installed anew has forgotten which root keys the old one sealed with. */
static KvKeyringMaker
this_installation(void)
{
	KvKeyringMaker maker = {GetSystemIdentifier(), MyDatabaseId,
	get_extension_oid("key_vault", false)};

	return maker;
}

static bool
is_same_maker(const KvKeyringMaker *a, const KvKeyringMaker *b)
{
	return a->cluster == b->cluster && a->database == b->database &&
		a->extension == b->extension;
}

/* The newest root key that an unfinished call in this database left, or NULL. */
static const KvRootKey *
find_leftover(const KvRing *ring)
{
	const KvKeyringMaker own = this_installation();
	const int64 now = (int64) time(NULL);
	const KvRootKey *newest = NULL;

	for (int i = 0; i < ring->count; i++)
	{
		const KvRootKey *key = &ring->keys[i];

		if (!is_same_maker(&key->maker, &own) ||
			key->created_at > now || key->created_at < now - SECONDS_TO_TAKE_A_LEFTOVER ||
			kv_root_key_row_registered(key->id))
			continue;
		if (newest == NULL || key->created_at > newest->created_at)
			newest = key;
	}
	return newest;
}

/* Reads the file.  True when made is filled in with what an earlier call left in it. */
static bool
read_file(FileChange *change, MadeKey *made)
{
	KvRing		ring;
	const KvRootKey *leftover = NULL;

	change->before = kv_keyring_read_file(change->path);
	ring = kv_ring_parse(change->before.bytes, change->before.len,
						 psprintf("file \"%s\"", change->path));
	PG_TRY();
	{
		check_nothing_is_missing(&ring, change->path);
		leftover = find_leftover(&ring);
		if (leftover != NULL)
		{
			memcpy(made->id, leftover->id, KV_ROOT_KEY_ID_LEN);
			made->created_at = leftover->created_at;
		}
	}
	PG_FINALLY();
	{
		kv_ring_free(&ring);
	}
	PG_END_TRY();
	return leftover != NULL;
}

/* Makes a root key, straight as the line that will hold it. */
static void
format_new_line(KvKeyringEntry *entry, char *line, Size *len)
{
	char	   *comment = psprintf("database \"%s\"",
								   get_database_name(MyDatabaseId));
	KvStatus	status;

	entry->created_at = (int64) time(NULL);
	entry->maker = this_installation();
	status = kv_random_root_key(entry->key);
	if (status == KV_OK)
		status = kv_root_key_id(entry->key, entry->id);
	if (status == KV_OK)
		status = kv_keyring_format_line(entry, comment, line, LINE_SIZE, len);
	if (status != KV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not make a root key: %s", kv_status_text(status))));
}

/* Puts together what the file shall hold: what it held, and one line more. */
static void
append_line(FileChange *change, KvKeyringEntry *entry)
{
	const KvKeyringText *before = &change->before;
	KvKeyringText *after = &change->after;
	Size		line_len;
	bool		lacks_newline = before->len > 0 && before->bytes[before->len - 1] != '\n';

	after->allocated = sizeof(file_header) + before->len + 1 + LINE_SIZE;
	after->bytes = kv_locked_alloc(after->allocated);

	if (before->len > 0)
		memcpy(after->bytes, before->bytes, before->len);
	after->len = before->len;
	if (after->len == 0)
	{
		memcpy(after->bytes, file_header, sizeof(file_header) - 1);
		after->len = sizeof(file_header) - 1;
	}
	if (lacks_newline)
		after->bytes[after->len++] = '\n';

	format_new_line(entry, after->bytes + after->len, &line_len);
	after->len += line_len;
	if (after->len > KV_KEYRING_MAX_SIZE)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("the keyring has no room for another root key"),
				 errdetail("File \"%s\" may have %d bytes.",
						   change->path, KV_KEYRING_MAX_SIZE),
				 errhint("Take out the lines of root keys that every database that uses it has retired.")));
}

/* Writes the file with one line more. */
static void
write_file(FileChange *change, KvKeyringEntry *entry)
{
	KvRing		check;

	append_line(change, entry);

	/* What we write, we can read. */
	check = kv_ring_parse(change->after.bytes, change->after.len, "memory");
	kv_ring_free(&check);

	kv_private_file_replace(change->path, change->after.bytes, change->after.len,
							S_IRUSR | S_IWUSR, kv_keyring_file_flags());
}

static void
make_key(FileChange *change, MadeKey *made)
{
	KvKeyringEntry *entry = kv_locked_alloc(sizeof(KvKeyringEntry));

	PG_TRY();
	{
		write_file(change, entry);
		memcpy(made->id, entry->id, KV_ROOT_KEY_ID_LEN);
		made->created_at = entry->created_at;
	}
	PG_FINALLY();
	{
		kv_locked_free(entry, sizeof(KvKeyringEntry));
	}
	PG_END_TRY();
}

TimestampTz
kv_keyring_add_root_key(uint8 id[KV_ROOT_KEY_ID_LEN])
{
	FileChange	change = {.path = kv_keyring_file()};
	MadeKey		made = {0};
	volatile bool taken = false;
	int			lock = kv_private_file_lock(change.path, kv_keyring_file_flags());

	PG_TRY();
	{
		taken = read_file(&change, &made);
		if (taken)
			kv_private_file_tidy(change.path, kv_keyring_file_flags());
		else
			make_key(&change, &made);
	}
	PG_FINALLY();
	{
		kv_locked_free(change.before.bytes, change.before.allocated);
		kv_locked_free(change.after.bytes, change.after.allocated);
		kv_private_file_unlock(lock);
	}
	PG_END_TRY();

	memcpy(id, made.id, KV_ROOT_KEY_ID_LEN);
	if (taken)
		ereport(NOTICE,
				(errmsg("root key %s was in the keyring", kv_root_key_id_spelled(id)),
				 errdetail("A call of key_vault.create_root_key() that was rolled back, or cut short, left it there.")));
	return time_t_to_timestamptz((pg_time_t) made.created_at);
}
