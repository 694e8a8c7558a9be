/*
 * verify_rows.c
 *		The SQL that takes secrets out to see whether they open.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "store/distribution.h"
#include "store/statement.h"
#include "store/verify_rows.h"

/*
 * Statistics are as old as the last ANALYZE, and those of a table that was just
 * restored say nothing.  A row needs about 200 bytes.
 */
static KvStatement estimate = {
	"SELECT GREATEST(c.reltuples::pg_catalog.float8,"
	" (pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) 200)::pg_catalog.float8)"
	" FROM pg_catalog.pg_class c"
	" WHERE c.oid OPERATOR(pg_catalog.=) 'key_vault_data.secrets'::pg_catalog.regclass::pg_catalog.oid",
	0
};

/* The table itself is empty then. */
static KvStatement estimate_shards = {
	"SELECT (pg_catalog.citus_table_size('key_vault_data.secrets'::pg_catalog.regclass)"
	" OPERATOR(pg_catalog./) 200)::pg_catalog.float8",
	0
};

/* A row that Citus has has no place here. */
static KvStatement draw_from_shards = {
	"SELECT user_id, provider, label, version, root_key_id, sealed, hint, expires_at, attributes,"
	" 0::pg_catalog.oid, '(0,0)'::pg_catalog.tid"
	" FROM key_vault_data.secrets TABLESAMPLE pg_catalog.system ($1) LIMIT $2",
	2, {FLOAT4OID, INT8OID}
};

static KvStatement draw = {
	"SELECT " KV_ROTATION_ROW_COLUMNS
	" FROM key_vault_data.secrets TABLESAMPLE pg_catalog.system ($1) LIMIT $2",
	2, {FLOAT4OID, INT8OID}
};

double
kv_verify_rows_estimate(void)
{
	double		rows;
	bool		isnull;

	kv_spi_connect();
	(void) kv_statement_run_as_owner(kv_is_distributed() ? &estimate_shards : &estimate, NULL, NULL, 0);
	rows = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return rows;
}

int
kv_verify_rows_draw(float4 percent, int limit, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[2];
	int			count;

	values[0] = Float4GetDatum(percent);
	values[1] = Int64GetDatum(limit);
	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(kv_is_distributed() ? &draw_from_shards : &draw, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	return count;
}

int
kv_verify_rows_next(const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	/* no row is sealed with the root key of this id */
	const KvRotationGoal nothing = {.root_key_id = "", .without_hint = false};

	return kv_rotation_rows_next(&nothing, after, limit, KV_LOCKED_READ, rows);
}
