/*
 * revocation_rows.c
 *		The rows of key_vault_data.revocations.  Whose hash is whose is not known here.
 *
 * Rows are added and never changed, and no two have one key: so nobody waits for a
 * session that has added one and does not end its transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/revocation_rows.h"
#include "store/statement.h"
#include "store/watched_table.h"

/* Columns, in the order of the install script. */
enum
{
	COLUMN_USER_HASH = 1,
	COLUMN_ISSUED_BEFORE
};

static KvStatement insert_row = {
	"INSERT INTO key_vault_data.revocations (user_hash, issued_before) VALUES ($1, $2)",
	2, {BYTEAOID, TIMESTAMPTZOID}
};

/* All but the one that counts; and what others are at is theirs to trim. */
static KvStatement trim_rows = {
	"DELETE FROM key_vault_data.revocations r USING ("
	"SELECT o.user_hash, o.issued_before, o.revoked_at FROM key_vault_data.revocations o"
	" WHERE o.user_hash OPERATOR(pg_catalog.=) $1 AND ROW(o.issued_before, o.revoked_at) OPERATOR(pg_catalog.<>)"
	" (SELECT l.issued_before, l.revoked_at FROM key_vault_data.revocations l"
	" WHERE l.user_hash OPERATOR(pg_catalog.=) $1 ORDER BY l.issued_before DESC, l.revoked_at DESC LIMIT 1)"
	" FOR UPDATE SKIP LOCKED) AS old"
	" WHERE r.user_hash OPERATOR(pg_catalog.=) old.user_hash"
	" AND r.issued_before OPERATOR(pg_catalog.=) old.issued_before"
	" AND r.revoked_at OPERATOR(pg_catalog.=) old.revoked_at",
	1, {BYTEAOID}
};

static KvStatement purge_rows = {
	"DELETE FROM key_vault_data.revocations r USING ("
	"SELECT o.user_hash, o.issued_before, o.revoked_at FROM key_vault_data.revocations o"
	" WHERE o.issued_before OPERATOR(pg_catalog.<) $1 FOR UPDATE SKIP LOCKED) AS old"
	" WHERE r.user_hash OPERATOR(pg_catalog.=) old.user_hash"
	" AND r.issued_before OPERATOR(pg_catalog.=) old.issued_before"
	" AND r.revoked_at OPERATOR(pg_catalog.=) old.revoked_at",
	1, {TIMESTAMPTZOID}
};

static KvStatement delete_rows = {
	"DELETE FROM key_vault_data.revocations",
	0
};

static KvWatchedTable revocations = {.name = "revocations"};

void
kv_revocation_rows_init(void)
{
	kv_watch_table(&revocations);
}

uint64
kv_revocation_rows_changes(void)
{
	return kv_watched_table_changes(&revocations);
}

static bytea *
hash_datum(const uint8 *user_hash)
{
	bytea	   *result = palloc(VARHDRSZ + KV_USER_HASH_LEN);

	SET_VARSIZE(result, VARHDRSZ + KV_USER_HASH_LEN);
	memcpy(VARDATA(result), user_hash, KV_USER_HASH_LEN);
	return result;
}

TimestampTz
kv_revocation_rows_latest(const uint8 user_hash[KV_USER_HASH_LEN])
{
	Relation	table = kv_watched_table_open(&revocations);
	TimestampTz latest = DT_NOBEGIN;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, COLUMN_USER_HASH, BTEqualStrategyNumber, F_BYTEAEQ,
				PointerGetDatum(hash_datum(user_hash)));
	/* NULL: a catalog snapshot, which is taken anew for each scan of a table. */
	scan = systable_beginscan(table, kv_primary_key_index(table), true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, COLUMN_ISSUED_BEFORE, RelationGetDescr(table), &isnull);

		if (!isnull)
			latest = Max(latest, DatumGetTimestampTz(value));
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return latest;
}

bool
kv_revocation_rows_exist(void)
{
	Relation	table = kv_watched_table_open(&revocations);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	bool		exist = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return exist;
}

void
kv_revocation_row_add(const uint8 user_hash[KV_USER_HASH_LEN], TimestampTz issued_before)
{
	Datum		values[2];

	values[0] = PointerGetDatum(hash_datum(user_hash));
	values[1] = TimestampTzGetDatum(issued_before);
	(void) kv_statement_run_alone_as_owner(&insert_row, values);
	(void) kv_statement_run_alone_as_owner(&trim_rows, values);
}

uint64
kv_revocation_rows_purge(TimestampTz issued_before)
{
	Datum		values[1];

	values[0] = TimestampTzGetDatum(issued_before);
	return kv_statement_run_alone_as_owner(&purge_rows, values);
}

uint64
kv_revocation_rows_delete(void)
{
	return kv_statement_run_alone_as_owner(&delete_rows, NULL);
}
