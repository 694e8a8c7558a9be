/*
 * ids_in_use.c
 *		The file in the data directory that says which root keys its databases use.
 *
 * Like the keyring it is no part of the transaction, and on disk before the commit:
 * after a crash an id may be there too many, never one too few.
 */
#include "postgres.h"

#include "common/file_perm.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/syscache.h"

#include "server/file_change.h"
#include "server/locked_memory.h"
#include "store/root_key_rows.h"
#include "vault/roots/ids_in_use.h"
#include "vault/roots/root_key_id.h"

#define FILE_NAME "key_vault.root_keys"
#define FILE_MAX_SIZE (1024 * 1024)
#define FILE_FLAGS (KV_PRIVATE_FILE_MAY_BE_MISSING | KV_PRIVATE_FILE_MAY_BE_EMPTY | \
					KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY | KV_PRIVATE_FILE_MAY_BE_SHARED)

static const char file_header[] =
"# Root keys of key_vault that the databases of this cluster use: ids, no keys.\n"
"# A line is the OID of a database and an id. The server writes this file.\n";

typedef struct Registry
{
	const KvRootKeyRow *rows;
	int			count;
} Registry;

/* Whether an id that the file has for this database stays there. */
typedef bool (*Keeps) (const Registry *registry, const uint8 *id);

static Registry
read_registry(void)
{
	Registry	registry;

	registry.rows = kv_root_key_rows_read(&registry.count);
	return registry;
}

static const KvRootKeyRow *
find_row(const Registry *registry, const uint8 *id)
{
	for (int i = 0; i < registry->count; i++)
	{
		if (memcmp(registry->rows[i].id, id, KV_ROOT_KEY_ID_LEN) == 0)
			return &registry->rows[i];
	}
	return NULL;
}

/* With the registry locked, an id that is not in it was rolled back. */
static bool
keeps_registered(const Registry *registry, const uint8 *id)
{
	const KvRootKeyRow *row = find_row(registry, id);

	return row != NULL && !row->is_retired;
}

/* Without the lock, somebody may be registering it now. */
static bool
keeps_unless_retired(const Registry *registry, const uint8 *id)
{
	const KvRootKeyRow *row = find_row(registry, id);

	return row == NULL || !row->is_retired;
}

/* One line.  False for a comment, and for what is none of ours. */
static bool
parse_line(const char *line, Oid *database, uint8 id[KV_ROOT_KEY_ID_LEN])
{
	char	   *hex;

	errno = 0;
	*database = (Oid) strtoul(line, &hex, 10);
	if (errno != 0 || hex == line || *hex++ != ' ' ||
		strspn(hex, "0123456789abcdef") != KV_ROOT_KEY_ID_HEX_LEN)
		return false;
	return (hex[KV_ROOT_KEY_ID_HEX_LEN] == '\n' || hex[KV_ROOT_KEY_ID_HEX_LEN] == '\0') &&
		kv_root_key_id_from_hex(hex, KV_ROOT_KEY_ID_HEX_LEN, id) == KV_OK;
}

static void
append_line(StringInfo text, Oid database, const uint8 *id)
{
	appendStringInfo(text, "%u %s\n", database, kv_root_key_id_spelled(id));
}

/* What the file shall hold, made from what it holds. */
static StringInfo
compose(const char *before, const Registry *registry, Keeps keeps)
{
	StringInfo	after = makeStringInfo();
	bool	   *is_there = palloc0(sizeof(bool) * (registry->count + 1));

	appendStringInfoString(after, file_header);
	for (const char *line = before; line != NULL && *line != '\0';
		 line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1)
	{
		uint8		id[KV_ROOT_KEY_ID_LEN];
		Oid			database;
		const KvRootKeyRow *row;

		if (!parse_line(line, &database, id))
			continue;
		if (database == MyDatabaseId ? !keeps(registry, id) :
			!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			continue;
		append_line(after, database, id);
		row = database == MyDatabaseId ? find_row(registry, id) : NULL;
		if (row != NULL)
			is_there[row - registry->rows] = true;
	}
	for (int i = 0; i < registry->count; i++)
	{
		if (!is_there[i] && !registry->rows[i].is_retired)
			append_line(after, MyDatabaseId, registry->rows[i].id);
	}
	return after;
}

static char *
file_path(void)
{
	return psprintf("%s/" FILE_NAME, DataDir);
}

/* palloc'd; empty when there is no file. */
static char *
read_file(const char *path)
{
	Size		len;
	Size		allocated;
	char	   *text = kv_private_file_read(path, FILE_MAX_SIZE, FILE_FLAGS, NULL, &len, &allocated);
	char	   *copy = pnstrdup(text != NULL ? text : "", len);

	kv_locked_free(text, allocated);
	return copy;
}

/* Changes the file, one session at a time. */
static void
change_file(Keeps keeps)
{
	const char *path = file_path();
	int			lock = kv_private_file_lock(path, FILE_FLAGS);
	Registry	registry = read_registry();
	const char *before = read_file(path);
	StringInfo	after = compose(before, &registry, keeps);

	if (strcmp(before, after->data) != 0)
		kv_private_file_replace(path, after->data, after->len, pg_file_create_mode, FILE_FLAGS);
	kv_private_file_unlock(lock);
}

void
kv_ids_in_use_write(void)
{
	change_file(keeps_registered);
}

void
kv_ids_in_use_mend(const uint8 active[KV_ROOT_KEY_ID_LEN])
{
	static uint8 mended_for[KV_ROOT_KEY_ID_LEN];
	Registry	registry;
	const char *before;

	if (memcmp(mended_for, active, KV_ROOT_KEY_ID_LEN) == 0)
		return;

	/* nearly always it is right, and then needs no lock */
	registry = read_registry();
	before = read_file(file_path());
	if (strcmp(before, compose(before, &registry, keeps_unless_retired)->data) != 0)
		change_file(keeps_unless_retired);
	memcpy(mended_for, active, KV_ROOT_KEY_ID_LEN);
}
