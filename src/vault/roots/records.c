/*
 * records.c
 *		Seals and opens what is sealed with a root key and is no API key.
 *
 * A record is bound to its kind and name, and, by its root key, to this vault.  Whoever
 * can write to tables makes none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "crypto/envelope.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring.h"
#include "vault/roots/records.h"
#include "vault/roots/sealing.h"

static KvBytes
utf8_bytes(const char *value)
{
	int			len;
	const char *utf8 = kv_to_utf8(value, strlen(value), &len);

	return (KvBytes){(const uint8_t *) utf8, len};
}

static void
seal_and_put(const char *kind, const char *name, const uint8 *root_key_id,
			 const uint8 *plaintext, Size len)
{
	KvRecordName record = {utf8_bytes(kind), utf8_bytes(name)};
	KvRecordRow row = {.kind = unconstify(char *, kind), .name = unconstify(char *, name)};
	const KvRootKey *root_key;

	row.sealed = palloc(VARHDRSZ + len + KV_ENVELOPE_OVERHEAD);
	SET_VARSIZE(row.sealed, VARHDRSZ + len + KV_ENVELOPE_OVERHEAD);
	root_key = kv_keyring_require(root_key_id);
	kv_check_sealed(kv_envelope_seal_record(&root_key->key, root_key->id, &record,
											plaintext, len, (uint8_t *) VARDATA(row.sealed)));
	kv_root_key_id_to_hex(root_key_id, row.root_key_id);
	kv_record_row_put(&row);
}

void
kv_record_write(const char *kind, const char *name, const uint8 *plaintext, Size len)
{
	uint8		root_key_id[KV_ROOT_KEY_ID_LEN];

	/* until the transaction ends, nobody retires what is active now */
	kv_secret_rows_lock_for_write();
	if (!kv_root_key_row_active(root_key_id))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("no root key is active in this database"),
				 errhint("Create one with key_vault.create_root_key(), or activate one of the keyring with key_vault.activate_root_key().")));
	seal_and_put(kind, name, root_key_id, plaintext, len);
}

/* kv_keyring_require or kv_keyring_find */
typedef const KvRootKey *(*FindRootKey) (const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* The root key that sealed a row, or NULL and why not. */
static const KvRootKey *
root_key_of(const KvRecordRow *row, FindRootKey find, const char **why)
{
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX + 1];
	const KvRootKey *root_key;

	if (VARSIZE_ANY_EXHDR(row->sealed) > KV_RECORD_MAX + KV_ENVELOPE_OVERHEAD ||
		kv_envelope_root_key_id((const uint8_t *) VARDATA_ANY(row->sealed),
								VARSIZE_ANY_EXHDR(row->sealed), id) != KV_OK)
	{
		*why = kv_status_text(KV_MALFORMED);
		return NULL;
	}
	kv_root_key_id_to_hex(id, hex);
	if (strcmp(hex, row->root_key_id) != 0)
	{
		*why = "its root key id differs from the row's";
		return NULL;
	}
	if (!kv_root_key_row_registered(id))
	{
		*why = "its root key is not registered in this database";
		return NULL;
	}
	root_key = find(id);
	if (root_key == NULL)
		*why = kv_keyring_is_outdated() ?
			psprintf("whether the keyring has its root key %s is not known, for it cannot be read", hex) :
			psprintf("its root key %s is not in the keyring", hex);
	return root_key;
}

static uint8 *
open_row(const KvRecordRow *row, FindRootKey find, Size *len, const char **why)
{
	KvRecordName record = {utf8_bytes(row->kind), utf8_bytes(row->name)};
	const KvRootKey *root_key = root_key_of(row, find, why);
	Size		sealed_len = VARSIZE_ANY_EXHDR(row->sealed);
	uint8	   *plaintext;
	KvStatus	status;

	if (root_key == NULL)
		return NULL;
	*len = sealed_len - KV_ENVELOPE_OVERHEAD;
	plaintext = kv_locked_alloc(*len + 1);
	status = kv_envelope_open_record(&root_key->key, root_key->id, &record,
									 (const uint8_t *) VARDATA_ANY(row->sealed), sealed_len,
									 plaintext);
	if (status == KV_OK)
		return plaintext;
	kv_record_close(plaintext, *len);
	*why = kv_status_text(status);
	return NULL;
}

uint8 *
kv_record_try_open(const KvRecordRow *row, Size *len, const char **why)
{
	return open_row(row, kv_keyring_find, len, why);
}

static void
report_unopened(int level, const KvRecordRow *row, const char *why)
{
	ereport(level,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("%s \"%s\" does not open", row->kind, row->name),
			 errdetail("Reason: %s.", why),
			 errhint("The row was changed, or moved from elsewhere. Restore it from a backup, or make it anew with key_vault.trust_issuer().")));
}

uint8 *
kv_record_open(const KvRecordRow *row, Size *len)
{
	const char *why;
	uint8	   *plaintext = open_row(row, kv_keyring_require, len, &why);

	if (plaintext == NULL)
		report_unopened(ERROR, row, why);
	return plaintext;
}

void
kv_record_close(uint8 *plaintext, Size len)
{
	kv_locked_free(plaintext, len + 1);
}

static void
reseal(const KvRecordRow *row, const uint8 *root_key_id)
{
	const char *why = NULL;
	Size		len;
	uint8	   *plaintext = kv_record_try_open(row, &len, &why);

	if (plaintext == NULL)
	{
		report_unopened(WARNING, row, why);
		return;
	}
	PG_TRY();
	{
		seal_and_put(row->kind, row->name, root_key_id, plaintext, len);
	}
	PG_FINALLY();
	{
		kv_record_close(plaintext, len);
	}
	PG_END_TRY();
}

int64
kv_records_reseal(const uint8 root_key_id[KV_ROOT_KEY_ID_HEX / 2])
{
	char		hex[KV_ROOT_KEY_ID_HEX + 1];
	int64		left;
	List	   *rows;
	ListCell   *cell;

	kv_root_key_id_to_hex(root_key_id, hex);
	rows = kv_record_rows_to_reseal(hex, &left);
	foreach(cell, rows)
		reseal(lfirst(cell), root_key_id);
	return left;
}
