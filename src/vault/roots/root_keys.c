/*
 * root_keys.c
 *		Making, activating and retiring root keys.
 *
 * Locks are taken in one order: the registry, then the lock files, one at a time.
 * Secrets are not locked.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "vault/roots/ids_in_use.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_change.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/root_key_id.h"
#include "vault/roots/root_keys.h"

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
			 errmsg("root key %s is active, and this server has replicas", kv_root_key_id_spelled(id)),
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

text *
kv_root_key_create(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	uint8		active[KV_ROOT_KEY_ID_LEN];
	TimestampTz created_at;

	PreventCommandIfReadOnly("key_vault.create_root_key()");
	check_file_is_keyring();

	kv_root_key_rows_lock();
	created_at = kv_keyring_add_root_key(id);
	kv_keyring_reload();

	kv_root_key_row_insert(id, created_at);
	if (!kv_root_key_row_active(active))
	{
		kv_root_key_row_activate(id);
		warn_of_replicas(id);
	}
	kv_ids_in_use_write();
	return cstring_to_text(kv_root_key_id_spelled(id));
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
				 errmsg("root key %s is retired", kv_root_key_id_spelled(root_key->id)),
				 errhint("Make a new one with key_vault.create_root_key().")));
	return row != kv_root_key_rows_active(rows, count);
}

void
kv_root_key_activate(const text *id_text)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];

	PreventCommandIfReadOnly("key_vault.activate_root_key()");
	kv_root_key_id_from_text(id_text, id);

	/* What the keyring has lost must not become active */
	kv_keyring_freshen();
	kv_root_key_rows_lock();
	if (make_ready_to_activate(kv_keyring_require(id)))
	{
		kv_root_key_row_activate(id);
		warn_of_replicas(id);
	}
	kv_ids_in_use_write();
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
				 errmsg("root key %s is active", kv_root_key_id_spelled(row->id)),
				 errhint("Activate another one, then CALL key_vault.rotate_root_key().")));
	if (active != NULL && active->is_own_change)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("root key %s is active for everybody else", kv_root_key_id_spelled(row->id)),
				 errdetail("Root key %s was activated in this transaction.", kv_root_key_id_spelled(active->id)),
				 errhint("Commit, then call key_vault.retire_root_key() again.")));
}

/* Says that a root key seals secrets, and the way out that is open. */
pg_noreturn static void
report_in_use(const uint8 *id, int64 sealed)
{
	const char *hex = kv_root_key_id_spelled(id);
	const char *way_out = NULL;

	switch (kv_keyring_ask(id))
	{
		case KV_KEYRING_HOLDS:
			way_out = "Re-seal them first: CALL key_vault.rotate_root_key(). What it says does not open has to be restored from a backup, or removed with key_vault.delete().";
			break;
		case KV_KEYRING_LACKS:
			way_out = psprintf("They open with it only, and it is not in the keyring. Put it back, or give them up: CALL key_vault.discard_secrets('%s').", hex);
			break;
		case KV_KEYRING_UNKNOWN:
			way_out = "Whether they open is not known: see to it that the keyring can be read.";
			break;
	}
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("root key %s is in use", hex),
			 errdetail_plural("It seals %lld secret.", "It seals %lld secrets.",
							  (unsigned long) sealed, (long long) sealed),
			 errhint("%s", way_out)));
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
	kv_root_key_id_from_text(id_text, id);

	kv_root_key_rows_lock();
	rows = kv_root_key_rows_read(&count);
	row = find_row(rows, count, id);
	if (row == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_UNKNOWN),
				 errmsg("this database has no root key %s", kv_root_key_id_spelled(id)),
				 errhint("The view key_vault.root_keys lists the ids.")));
	if (row->is_retired)
		return;
	check_is_replaced(row, kv_root_key_rows_active(rows, count));

	sealed = kv_root_key_count_secrets(id);
	if (sealed > 0)
		report_in_use(id, sealed);
	kv_root_key_row_retire(id);
	kv_ids_in_use_write();
}

bool
kv_root_key_in_ring(const text *id_text, bool *is_known)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	KvKeyringAnswer answer;

	kv_root_key_id_from_text(id_text, id);
	answer = kv_keyring_ask(id);
	*is_known = answer != KV_KEYRING_UNKNOWN;
	return answer == KV_KEYRING_HOLDS;
}
