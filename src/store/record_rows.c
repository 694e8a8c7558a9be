/*
 * record_rows.c
 *		The rows of key_vault_data.sealed_records.  Nothing here knows what is in one.
 *
 * Rows are read straight from the table: SPI would use the transaction's snapshot in
 * REPEATABLE READ, and go on trusting an issuer that is trusted no more.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/record_rows.h"
#include "store/statement.h"
#include "store/watched_table.h"

/* Columns, in the order of the install script. */
enum
{
	COLUMN_KIND = 1,
	COLUMN_NAME,
	COLUMN_ROOT_KEY_ID,
	COLUMN_SEALED,
	COLUMNS = COLUMN_SEALED
};

static KvStatement put_row = {
	"INSERT INTO key_vault_data.sealed_records AS r (kind, name, root_key_id, sealed)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name) DO UPDATE"
	" SET root_key_id = EXCLUDED.root_key_id, sealed = EXCLUDED.sealed",
	4, {TEXTOID, TEXTOID, TEXTOID, BYTEAOID}
};

static KvStatement delete_row = {
	"DELETE FROM key_vault_data.sealed_records"
	" WHERE kind OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2",
	2, {TEXTOID, TEXTOID}
};

static KvStatement select_to_reseal = {
	"SELECT kind, name, root_key_id, sealed FROM key_vault_data.sealed_records"
	" WHERE root_key_id OPERATOR(pg_catalog.<>) $1 ORDER BY kind, name FOR UPDATE SKIP LOCKED",
	1, {TEXTOID}
};

static KvStatement count_to_reseal = {
	"SELECT pg_catalog.count(*) FROM key_vault_data.sealed_records"
	" WHERE root_key_id OPERATOR(pg_catalog.<>) $1",
	1, {TEXTOID}
};

static KvStatement delete_sealed_with = {
	"DELETE FROM key_vault_data.sealed_records WHERE root_key_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvWatchedTable records = {.name = "sealed_records"};

void
kv_record_rows_init(void)
{
	kv_watch_table(&records);
}

uint64
kv_record_rows_changes(void)
{
	return kv_watched_table_changes(&records);
}

/* A copy of everything, for the tuple may point into a buffer. */
static void
unpack(HeapTuple tuple, TupleDesc columns, KvRecordRow *row)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];

	for (int i = 0; i < COLUMNS; i++)
	{
		values[i] = heap_getattr(tuple, i + 1, columns, &nulls[i]);
		if (nulls[i])
			ereport(ERROR,
					(errcode(KV_ERRCODE_SEALED),
					 errmsg("table \"key_vault_data.sealed_records\" holds what is no record")));
	}
	row->kind = TextDatumGetCString(values[COLUMN_KIND - 1]);
	row->name = TextDatumGetCString(values[COLUMN_NAME - 1]);
	strlcpy(row->root_key_id, TextDatumGetCString(values[COLUMN_ROOT_KEY_ID - 1]),
			sizeof(row->root_key_id));
	row->sealed = DatumGetByteaPCopy(values[COLUMN_SEALED - 1]);
}

/* Rows by kind and name, each of which may be NULL, in the order of the primary key. */
static List *
scan(const char *kind, const char *name)
{
	Relation	table = kv_watched_table_open(&records);
	ScanKeyData keys[2];
	int			key_count = 0;
	List	   *rows = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (kind != NULL)
		ScanKeyInit(&keys[key_count++], COLUMN_KIND, BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(kind));
	if (name != NULL)
		ScanKeyInit(&keys[key_count++], COLUMN_NAME, BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(name));

	/* NULL: a catalog snapshot, which is taken anew for each scan of a table. */
	scan = systable_beginscan(table, kv_primary_key_index(table), key_count > 0, NULL,
							  key_count, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		KvRecordRow *row = palloc(sizeof(KvRecordRow));

		unpack(tuple, RelationGetDescr(table), row);
		rows = lappend(rows, row);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return rows;
}

bool
kv_record_row_find(const char *kind, const char *name, KvRecordRow *row)
{
	List	   *rows = scan(kind, name);

	if (rows == NIL)
		return false;
	*row = *(KvRecordRow *) linitial(rows);
	return true;
}

List *
kv_record_rows_read(const char *kind)
{
	return scan(kind, NULL);
}

void
kv_record_row_put(const KvRecordRow *row)
{
	Datum		values[4];

	values[0] = CStringGetTextDatum(row->kind);
	values[1] = CStringGetTextDatum(row->name);
	values[2] = CStringGetTextDatum(row->root_key_id);
	values[3] = PointerGetDatum(row->sealed);
	(void) kv_statement_run_alone_as_owner(&put_row, values);
}

bool
kv_record_row_delete(const char *kind, const char *name)
{
	Datum		values[2];

	values[0] = CStringGetTextDatum(kind);
	values[1] = CStringGetTextDatum(name);
	return kv_statement_run_alone_as_owner(&delete_row, values) > 0;
}

static int64
count(KvStatement *statement, const char *root_key_id)
{
	Datum		values[1];
	int64		rows;
	bool		isnull;

	values[0] = CStringGetTextDatum(root_key_id);
	kv_spi_connect();
	(void) kv_statement_read_whole_as_owner(statement, values, NULL, 0);
	rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return rows;
}

List *
kv_record_rows_to_reseal(const char *root_key_id, int64 *left)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[1];
	List	   *rows = NIL;
	uint64		found;

	values[0] = CStringGetTextDatum(root_key_id);
	kv_spi_connect();
	found = kv_statement_run_as_owner(&select_to_reseal, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < found; i++)
	{
		KvRecordRow *row = palloc(sizeof(KvRecordRow));

		unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row);
		rows = lappend(rows, row);
	}
	SPI_finish();
	*left = count(&count_to_reseal, root_key_id) - (int64) found;
	return rows;
}

uint64
kv_record_rows_delete_sealed_with(const char *root_key_id)
{
	Datum		values[1];

	values[0] = CStringGetTextDatum(root_key_id);
	return kv_statement_run_alone_as_owner(&delete_sealed_with, values);
}
