/*
 * audit_key_rows.c
 *		The SQL of the keys that chain the audit's records, and of its checkpoint.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/audit_bytes.h"
#include "store/audit_key_rows.h"
#include "store/statement.h"

#define KEY_COLUMNS "first_number, root_key_id, sealed"

static KvStatement select_keys = {
	"SELECT " KEY_COLUMNS " FROM key_vault_data.audit_keys ORDER BY first_number",
	0
};

static KvStatement select_last_key = {
	"SELECT " KEY_COLUMNS " FROM key_vault_data.audit_keys ORDER BY first_number DESC LIMIT 1",
	0
};

static KvStatement insert_key = {
	"INSERT INTO key_vault_data.audit_keys (" KEY_COLUMNS ") VALUES ($1, $2, $3)"
	/* one that was discarded before its first record */
	" ON CONFLICT (first_number) DO UPDATE SET root_key_id = EXCLUDED.root_key_id,"
	" sealed = EXCLUDED.sealed",
	3, {INT8OID, TEXTOID, BYTEAOID}
};

static KvStatement update_key = {
	"UPDATE key_vault_data.audit_keys SET root_key_id = $2, sealed = $3"
	" WHERE first_number OPERATOR(pg_catalog.=) $1",
	3, {INT8OID, TEXTOID, BYTEAOID}
};

static KvStatement discard_keys = {
	"UPDATE key_vault_data.audit_keys SET root_key_id = NULL, sealed = NULL"
	" WHERE root_key_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement select_checkpoint = {
	"SELECT number, at, mac, seal FROM key_vault_data.audit_checkpoint",
	0
};

static KvStatement store_checkpoint = {
	"INSERT INTO key_vault_data.audit_checkpoint (number, at, mac, seal) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (single) DO UPDATE SET number = EXCLUDED.number, at = EXCLUDED.at,"
	" mac = EXCLUDED.mac, seal = EXCLUDED.seal",
	4, {INT8OID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID}
};

static void
unpack_key(HeapTuple tuple, TupleDesc columns, KvAuditKeyRow *key)
{
	Datum		values[3];
	bool		nulls[3];

	heap_deform_tuple(tuple, columns, values, nulls);
	memset(key, 0, sizeof(*key));
	key->first_number = DatumGetInt64(values[0]);
	if (nulls[1] || nulls[2])
		return;
	strlcpy(key->root_key_id, TextDatumGetCString(values[1]), sizeof(key->root_key_id));
	key->sealed = DatumGetByteaPCopy(values[2]);
}

static int
read_keys(KvStatement *statement, long limit, KvAuditKeyRow **keys)
{
	MemoryContext caller = CurrentMemoryContext;
	int			count;

	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(statement, NULL, NULL, limit);
	MemoryContextSwitchTo(caller);
	*keys = palloc(sizeof(KvAuditKeyRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		unpack_key(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*keys)[i]);
	SPI_finish();
	return count;
}

int
kv_audit_keys_read(KvAuditKeyRow **keys)
{
	return read_keys(&select_keys, 0, keys);
}

bool
kv_audit_key_last(KvAuditKeyRow *key)
{
	KvAuditKeyRow *keys;

	if (read_keys(&select_last_key, 1, &keys) == 0)
		return false;
	*key = keys[0];
	return true;
}

static void
write_key(KvStatement *statement, const KvAuditKeyRow *key)
{
	Datum		values[3];

	values[0] = Int64GetDatum(key->first_number);
	values[1] = CStringGetTextDatum(key->root_key_id);
	values[2] = PointerGetDatum(key->sealed);
	(void) kv_statement_run_alone_as_owner(statement, values);
}

void
kv_audit_key_insert(const KvAuditKeyRow *key)
{
	write_key(&insert_key, key);
}

void
kv_audit_key_update(const KvAuditKeyRow *key)
{
	write_key(&update_key, key);
}

uint64
kv_audit_keys_discard(const char *root_key_id)
{
	Datum		values[1] = {CStringGetTextDatum(root_key_id)};

	return kv_statement_run_alone_as_owner(&discard_keys, values);
}

bool
kv_audit_checkpoint_read(KvAuditCheckpoint *checkpoint)
{
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_checkpoint, NULL, NULL, 1);
	if (count > 0)
	{
		Datum		values[4];
		bool		nulls[4];

		heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
		checkpoint->number = DatumGetInt64(values[0]);
		checkpoint->at = DatumGetTimestampTz(values[1]);
		(void) kv_audit_copy_bytes(values[2], nulls[2], checkpoint->mac, sizeof(checkpoint->mac));
		(void) kv_audit_copy_bytes(values[3], nulls[3], checkpoint->seal, sizeof(checkpoint->seal));
	}
	SPI_finish();
	return count > 0;
}

void
kv_audit_checkpoint_store(const KvAuditCheckpoint *checkpoint)
{
	Datum		values[4];

	values[0] = Int64GetDatum(checkpoint->number);
	values[1] = TimestampTzGetDatum(checkpoint->at);
	values[2] = kv_audit_bytes_datum(checkpoint->mac, sizeof(checkpoint->mac));
	values[3] = kv_audit_bytes_datum(checkpoint->seal, sizeof(checkpoint->seal));
	(void) kv_statement_run_alone_as_owner(&store_checkpoint, values);
}
