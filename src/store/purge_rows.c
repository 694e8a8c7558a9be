/*
 * purge_rows.c
 *		The SQL of a purge.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/purge_rows.h"
#include "store/secret_names.h"
#include "store/shards.h"
#include "store/use_rows.h"

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
 * So only those go of which every version could be locked.  in_shard is for the shard that
 * all names are in.
 */
#define DELETE_BATCH(in_shard) \
	"WITH names AS MATERIALIZED (SELECT * FROM " KV_NAMES_IN_ARRAYS ")," \
	" locked AS MATERIALIZED (SELECT s.user_id, s.provider, s.label, s.version, s.expires_at" \
	" FROM key_vault_data.secrets s, names n WHERE " KV_IS_SAME_NAME("s", "n") in_shard \
	" FOR UPDATE OF s SKIP LOCKED)," \
	" whole AS MATERIALIZED (SELECT l.user_id, l.provider, l.label FROM locked l" \
	" GROUP BY l.user_id, l.provider, l.label" \
	" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=)" \
	" (SELECT pg_catalog.count(*) FROM key_vault_data.secrets s WHERE " KV_IS_SAME_NAME("s", "l") in_shard ")" \
	" AND (pg_catalog.array_agg(l.expires_at ORDER BY l.version DESC))[1]" \
	" OPERATOR(pg_catalog.<) $1)" \
	" DELETE FROM key_vault_data.secrets s USING whole w WHERE " KV_IS_SAME_NAME("s", "w") in_shard \
	" RETURNING s.*"

/* Every version of a name whose newest one is there still, and has expired. */
#define SELECT_LEFT(table, in_shard) \
	"SELECT tab, place, is_newest FROM (" \
	" SELECT " table " AS tab, s.ctid AS place," \
	" pg_catalog.row_number() OVER versions OPERATOR(pg_catalog.=) 1 AS is_newest," \
	" pg_catalog.first_value(s.expires_at) OVER versions AS expires_at" \
	" FROM key_vault_data.secrets s, " KV_NAMES_IN_ARRAYS " WHERE " KV_IS_SAME_NAME("s", "n") in_shard \
	" WINDOW versions AS (PARTITION BY s.user_id, s.provider, s.label ORDER BY s.version DESC)" \
	") AS s WHERE expires_at OPERATOR(pg_catalog.<) $1"

#define NAMES_ARGUMENTS 4, {TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}

static KvStatement delete_batch = {DELETE_BATCH(""), NAMES_ARGUMENTS};
static KvStatement delete_in_shard = {DELETE_BATCH(KV_IN_SHARD("s", "$2")), NAMES_ARGUMENTS};
static KvStatement select_left = {SELECT_LEFT("s.tableoid", ""), NAMES_ARGUMENTS};
static KvStatement select_left_in_shard = {SELECT_LEFT(KV_NO_TABLE, KV_IN_SHARD("s", "$2")), NAMES_ARGUMENTS};

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
	count = (int) kv_statement_find_as_owner(&select_next, values, NULL, 0);
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

static KvSecretName *
names_of(const KvExpired *expired, int count)
{
	KvSecretName *names = palloc(sizeof(KvSecretName) * count);

	for (int i = 0; i < count; i++)
		names[i] = expired[i].name;
	return names;
}

uint64
kv_purge_rows_delete(TimestampTz expired_before, const KvExpired *expired, int count,
					 void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns))
{
	const KvNamesStatement statement = {&delete_batch, &delete_in_shard};
	KvSecretName *names = names_of(expired, count);
	uint64		removed = kv_secret_names_delete(&statement, TimestampTzGetDatum(expired_before),
												 names, count, check);

	kv_uses_delete_gone(names, count);
	pfree(names);
	return removed;
}

int
kv_purge_rows_left(TimestampTz expired_before, const KvExpired *expired, int count,
				   KvRowHolders *holders)
{
	const KvNamesStatement statement = {&select_left, &select_left_in_shard};

	return kv_secret_names_left(&statement, TimestampTzGetDatum(expired_before),
								names_of(expired, count), count, holders);
}
