/*
 * root_keys.c
 *		Making, activating and retiring root keys.
 *
 * The one place that writes a keyring.  Locks are taken in one order: the registry,
 * then the lock file.  Secrets are not locked.
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "format/keyring_text.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/file_change.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring.h"
#include "vault/roots/root_keys.h"

/* What a new file begins with. */
static const char file_header[] =
"# Root keys of key_vault. Without this file, what they seal is lost: keep a copy\n"
"# elsewhere. A line is <id> <base64 of 32 bytes> <RFC 3339 time>.\n";

/* A line of ours: fields, and a comment with a database's name. */
#define LINE_SIZE (128 + sizeof("database \"\"") + NAMEDATALEN)

/* The file as it was, and as it shall be. */
typedef struct FileChange
{
	char	   *before;			/* NULL when there was none */
	Size		before_len;
	Size		before_allocated;
	char	   *after;
	Size		after_len;
	Size		after_allocated;
} FileChange;

static void
id_from_text(const text *id, uint8 result[KV_ROOT_KEY_ID_LEN])
{
	if (kv_root_key_id_from_hex(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id),
								result) != KV_OK)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("this is not the id of a root key"),
				 errdetail("An id has 16 digits, 0 to 9 and a to f."),
				 errhint("The view key_vault.root_keys lists the ids.")));
}

static const char *
id_to_hex(const uint8 *id)
{
	char	   *hex = palloc(KV_ROOT_KEY_ID_HEX_LEN + 1);

	kv_root_key_id_to_hex(id, hex);
	return hex;
}

static const KvRootKeyRow *
find_row(const KvRootKeyRow *rows, int count, const uint8 *id)
{
	for (int i = 0; i < count; i++)
	{
		if (memcmp(rows[i].id, id, KV_ROOT_KEY_ROW_ID_LEN) == 0)
			return &rows[i];
	}
	return NULL;
}

/* The replicas read the same keyring by themselves: nothing of ours brings it there. */
static void
warn_of_replicas(const uint8 *id)
{
	if (!kv_root_key_rows_have_replicas())
		return;
	ereport(WARNING,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("root key %s is active, and this server has replicas", id_to_hex(id)),
			 errdetail("A replica cannot open what is sealed from now on before its own keyring holds this root key."),
			 errhint("Copy the keyring to every replica.")));
}

/* create_root_key() writes the file that the server reads, or nothing. */
static void
check_file_is_keyring(void)
{
	if (kv_setting_keyring_command[0] != '\0')
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("a root key cannot be added to what a command prints"),
				 errdetail("key_vault.keyring_command is set."),
				 errhint("Add a line to the keyring that it reads, then call key_vault.activate_root_key(id).")));
	if (kv_setting_keyring_file[0] == '\0')
		kv_keyring_report_not_configured();
}

/* Nothing is minted over old data. */
static void
check_nothing_is_missing(const KvRing *ring)
{
	int			count;
	KvRootKeyRow *rows = kv_root_key_rows_read(&count);

	for (int i = 0; i < count; i++)
	{
		if (!rows[i].is_retired && kv_ring_find(ring, rows[i].id) == NULL)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("root key %s is not in the keyring",
							id_to_hex(rows[i].id)),
					 errdetail("This database registered it. No other root key is made while the keyring is not complete. The keyring is file \"%s\".",
							   kv_setting_keyring_file),
					 errhint("Restore the keyring that this database was sealed with.")));
	}
	pfree(rows);
}

static void
read_file(FileChange *change)
{
	KvRing		ring;

	change->before = kv_private_file_read(kv_setting_keyring_file,
										  KV_KEYRING_MAX_SIZE,
										  kv_keyring_file_flags() |
										  KV_PRIVATE_FILE_MAY_BE_MISSING |
										  KV_PRIVATE_FILE_MAY_BE_EMPTY,
										  &change->before_len,
										  &change->before_allocated);

	ring = kv_ring_parse(change->before, change->before_len,
						 psprintf("file \"%s\"", kv_setting_keyring_file));
	PG_TRY();
	{
		check_nothing_is_missing(&ring);
	}
	PG_FINALLY();
	{
		kv_ring_free(&ring);
	}
	PG_END_TRY();
}

/* Makes a root key, straight as the line that will hold it. */
static void
format_new_line(KvKeyringEntry *entry, char *line, Size *len)
{
	char	   *comment = psprintf("database \"%s\"",
								   get_database_name(MyDatabaseId));
	KvStatus	status;

	entry->created_at = (int64) time(NULL);
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
	Size		len;
	Size		line_len;
	bool		lacks_newline = change->before_len > 0 &&
		change->before[change->before_len - 1] != '\n';

	change->after_allocated = sizeof(file_header) + change->before_len + 1 + LINE_SIZE;
	change->after = kv_locked_alloc(change->after_allocated);

	if (change->before_len > 0)
		memcpy(change->after, change->before, change->before_len);
	len = change->before_len;
	if (len == 0)
	{
		memcpy(change->after, file_header, sizeof(file_header) - 1);
		len = sizeof(file_header) - 1;
	}
	if (lacks_newline)
		change->after[len++] = '\n';

	format_new_line(entry, change->after + len, &line_len);
	change->after_len = len + line_len;
	if (change->after_len > KV_KEYRING_MAX_SIZE)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("the keyring has no room for another root key"),
				 errdetail("File \"%s\" may have %d bytes.",
						   kv_setting_keyring_file, KV_KEYRING_MAX_SIZE),
				 errhint("Take out the lines of root keys that every database of this cluster has retired.")));
}

static void
change_file(FileChange *change, KvKeyringEntry *entry)
{
	KvRing		check;

	read_file(change);
	append_line(change, entry);

	/* What we write, we can read. */
	check = kv_ring_parse(change->after, change->after_len, "memory");
	kv_ring_free(&check);

	kv_private_file_replace(kv_setting_keyring_file,
							change->after, change->after_len,
							S_IRUSR | S_IWUSR, kv_keyring_file_flags());
}

/* Adds a new root key to the file, while nobody else does. */
static void
add_to_file(KvKeyringEntry *entry)
{
	FileChange	change = {0};
	int			lock = kv_private_file_lock(kv_setting_keyring_file,
											kv_keyring_file_flags());

	PG_TRY();
	{
		change_file(&change, entry);
	}
	PG_FINALLY();
	{
		kv_locked_free(change.before, change.before_allocated);
		kv_locked_free(change.after, change.after_allocated);
		kv_private_file_unlock(lock);
	}
	PG_END_TRY();
}

/* Adds a root key to the file; only what is public of it comes back. */
static TimestampTz
mint(uint8 id[KV_ROOT_KEY_ID_LEN])
{
	KvKeyringEntry *entry = kv_locked_alloc(sizeof(KvKeyringEntry));
	TimestampTz created_at = 0;

	PG_TRY();
	{
		add_to_file(entry);
		memcpy(id, entry->id, KV_ROOT_KEY_ID_LEN);
		created_at = time_t_to_timestamptz((pg_time_t) entry->created_at);
	}
	PG_FINALLY();
	{
		kv_locked_free(entry, sizeof(KvKeyringEntry));
	}
	PG_END_TRY();
	return created_at;
}

text *
kv_root_key_create(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	uint8		active[KV_ROOT_KEY_ID_LEN];
	TimestampTz created_at;

	PreventCommandIfReadOnly("key_vault.create_root_key()");
	check_file_is_keyring();

	kv_root_key_rows_lock();
	created_at = mint(id);
	kv_keyring_reload();

	kv_root_key_row_insert(id, created_at);
	if (!kv_root_key_row_active(active))
	{
		kv_root_key_row_activate(id);
		warn_of_replicas(id);
	}
	return cstring_to_text(id_to_hex(id));
}

/* A row of the registry that may become active: an old one, or a new one. */
static bool
make_ready_to_activate(const KvRootKey *root_key)
{
	int			count;
	KvRootKeyRow *rows = kv_root_key_rows_read(&count);
	const KvRootKeyRow *row = find_row(rows, count, root_key->id);

	if (row == NULL)
	{
		kv_root_key_row_insert(root_key->id,
							   time_t_to_timestamptz((pg_time_t) root_key->created_at));
		return true;
	}
	if (row->is_retired)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("root key %s is retired", id_to_hex(root_key->id)),
				 errhint("Make a new one with key_vault.create_root_key().")));
	return row != kv_root_key_rows_active(rows, count);
}

void
kv_root_key_activate(const text *id_text)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];

	PreventCommandIfReadOnly("key_vault.activate_root_key()");
	id_from_text(id_text, id);

	kv_root_key_rows_lock();
	if (!make_ready_to_activate(kv_keyring_require(id)))
		return;
	kv_root_key_row_activate(id);
	warn_of_replicas(id);
}

/*
 * Whoever begins to seal now must see which root key is active, or this one would
 * seal again after it was retired.
 */
static void
check_is_replaced(const KvRootKeyRow *row, const KvRootKeyRow *active)
{
	if (row == active)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("root key %s is active", id_to_hex(row->id)),
				 errhint("Activate another one, then CALL key_vault.rotate_root_key().")));
	if (active != NULL && active->is_own_change)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("root key %s is active for everybody else", id_to_hex(row->id)),
				 errdetail("Root key %s was activated in this transaction.", id_to_hex(active->id)),
				 errhint("Commit, then call key_vault.retire_root_key() again.")));
}

void
kv_root_key_retire(const text *id_text)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	int			count;
	KvRootKeyRow *rows;
	const KvRootKeyRow *row;
	int64		sealed;

	PreventCommandIfReadOnly("key_vault.retire_root_key()");
	id_from_text(id_text, id);

	kv_root_key_rows_lock();
	rows = kv_root_key_rows_read(&count);
	row = find_row(rows, count, id);
	if (row == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_UNKNOWN),
				 errmsg("this database has no root key %s", id_to_hex(id)),
				 errhint("The view key_vault.root_keys lists the ids.")));
	if (row->is_retired)
		return;
	check_is_replaced(row, kv_root_key_rows_active(rows, count));

	sealed = kv_root_key_count_secrets(id);
	if (sealed > 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("root key %s is in use", id_to_hex(id)),
				 errdetail_plural("It seals %lld secret.", "It seals %lld secrets.",
								  (unsigned long) sealed, (long long) sealed),
				 kv_keyring_contains(id) ?
				 errhint("Re-seal them first: CALL key_vault.rotate_root_key().") :
				 errhint("They open with it only, and it is not in the keyring: put it back, or delete them from key_vault_data.secrets.")));
	kv_root_key_row_retire(id);
}

bool
kv_root_key_in_ring(const text *id_text)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];

	id_from_text(id_text, id);
	return kv_keyring_contains(id);
}
