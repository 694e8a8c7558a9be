/*
 * purge_rows.c
 *		The SQL of a purge.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/purge_rows.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define IS_SAME_NAME(a, b) \
	a ".user_id OPERATOR(pg_catalog.=) " b ".user_id" \
	" AND " a ".provider OPERATOR(pg_catalog.=) " b ".provider" \
	" AND " a ".label OPERATOR(pg_catalog.=) " b ".label"

static KvStatement select_next = {
	"SELECT s.expires_at, s.user_id, s.provider, s.label FROM key_vault_data.secrets s"
	" WHERE s.expires_at OPERATOR(pg_catalog.<) $1"
	" AND ROW(s.expires_at, s.user_id, s.provider, s.label)"
	" OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)"
	" AND " KV_IS_CURRENT("s")
	" ORDER BY s.expires_at, s.user_id, s.provider, s.label LIMIT $6",
	6, {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
};

/*
 * An older version must not outlive the one that expired: it would become current.
 * So only those go of which every version could be locked.
 */
static KvStatement delete_batch = {
	"WITH names AS MATERIALIZED (SELECT * FROM ROWS FROM"
	" (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
	" AS n (user_id, provider, label)),"
	" locked AS MATERIALIZED (SELECT s.user_id, s.provider, s.label, s.version, s.expires_at"
	" FROM key_vault_data.secrets s, names n WHERE " IS_SAME_NAME("s", "n")
	" FOR UPDATE OF s SKIP LOCKED),"
	" whole AS MATERIALIZED (SELECT l.user_id, l.provider, l.label FROM locked l"
	" GROUP BY l.user_id, l.provider, l.label"
	" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=)"
	" (SELECT pg_catalog.count(*) FROM key_vault_data.secrets s WHERE " IS_SAME_NAME("s", "l") ")"
	" AND (pg_catalog.array_agg(l.expires_at ORDER BY l.version DESC))[1]"
	" OPERATOR(pg_catalog.<) $1)"
	" DELETE FROM key_vault_data.secrets s USING whole w WHERE " IS_SAME_NAME("s", "w")
	" RETURNING s.*",
	4, {TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

/* Every version of a name whose newest one is there still, and has expired. */
static KvStatement select_left = {
	"SELECT tab, place, is_newest FROM ("
	" SELECT s.tableoid AS tab, s.ctid AS place,"
	" pg_catalog.row_number() OVER versions OPERATOR(pg_catalog.=) 1 AS is_newest,"
	" pg_catalog.first_value(s.expires_at) OVER versions AS expires_at"
	" FROM key_vault_data.secrets s, ROWS FROM"
	" (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
	" AS n (user_id, provider, label) WHERE " IS_SAME_NAME("s", "n")
	" WINDOW versions AS (PARTITION BY s.user_id, s.provider, s.label ORDER BY s.version DESC)"
	") AS s WHERE expires_at OPERATOR(pg_catalog.<) $1",
	4, {TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

int
kv_purge_rows_next(TimestampTz expired_before, const KvExpired *after,
				   int limit, KvExpired **expired)
{
	MemoryContext caller = CurrentMemoryContext;
	text	   *nothing = cstring_to_text("");
	Datum		values[6];
	int			count;

	values[0] = TimestampTzGetDatum(expired_before);
	values[1] = TimestampTzGetDatum(after != NULL ? after->expires_at : DT_NOBEGIN);
	values[2] = PointerGetDatum(after != NULL ? after->name.user_id : nothing);
	values[3] = PointerGetDatum(after != NULL ? after->name.provider : nothing);
	values[4] = PointerGetDatum(after != NULL ? after->name.label : nothing);
	values[5] = Int64GetDatum(limit);

	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_next, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*expired = palloc(sizeof(KvExpired) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Datum		columns[4];
		bool		nulls[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		(*expired)[i].expires_at = DatumGetTimestampTz(columns[0]);
		(*expired)[i].name.user_id = DatumGetTextPCopy(columns[1]);
		(*expired)[i].name.provider = DatumGetTextPCopy(columns[2]);
		(*expired)[i].name.label = DatumGetTextPCopy(columns[3]);
	}
	SPI_finish();
	return count;
}

static Datum
text_array(text *const *elements, int count)
{
	Datum	   *datums = palloc(sizeof(Datum) * count);
	ArrayType  *array;

	for (int i = 0; i < count; i++)
		datums[i] = PointerGetDatum(elements[i]);
	array = construct_array(datums, count, TEXTOID, -1, false, TYPALIGN_INT);
	pfree(datums);
	return PointerGetDatum(array);
}

static void
pack(const KvExpired *expired, int count, Datum *arrays)
{
	text	  **elements = palloc(sizeof(text *) * count);

	for (int i = 0; i < count; i++)
		elements[i] = expired[i].name.user_id;
	arrays[0] = text_array(elements, count);
	for (int i = 0; i < count; i++)
		elements[i] = expired[i].name.provider;
	arrays[1] = text_array(elements, count);
	for (int i = 0; i < count; i++)
		elements[i] = expired[i].name.label;
	arrays[2] = text_array(elements, count);
	pfree(elements);
}

uint64
kv_purge_rows_delete(TimestampTz expired_before, const KvExpired *expired, int count,
					 void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns))
{
	Datum		values[4];
	uint64		removed;
	bool		isnull;

	values[0] = TimestampTzGetDatum(expired_before);
	pack(expired, count, &values[1]);

	kv_spi_connect();
	removed = kv_statement_run_as_owner(&delete_batch, values, NULL, 0);
	for (uint64 i = 0; i < removed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		Datum		user_id = SPI_getbinval(tuple, columns, KV_SECRETS_USER_ID, &isnull);

		check(DatumGetTextPP(user_id), tuple, columns);
	}
	SPI_finish();
	return removed;
}

int
kv_purge_rows_left(TimestampTz expired_before, const KvExpired *expired, int count,
				   KvRowHolders *holders)
{
	Datum		values[4];
	uint64		rows;
	int			left = 0;

	values[0] = TimestampTzGetDatum(expired_before);
	pack(expired, count, &values[1]);

	kv_spi_connect();
	rows = kv_statement_run_as_owner(&select_left, values, NULL, 0);
	for (uint64 i = 0; i < rows; i++)
	{
		Datum		columns[3];
		bool		nulls[3];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		kv_row_holders_add(holders, DatumGetObjectId(columns[0]),
						   (ItemPointer) DatumGetPointer(columns[1]));
		left += DatumGetBool(columns[2]) ? 1 : 0;
	}
	SPI_finish();
	return left;
}
