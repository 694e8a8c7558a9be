/*
 * rotation_shards.c
 *		The SQL of a rotation on tables that Citus has distributed.
 *
 * Citus locks rows in one shard at a time, and plans each statement anew.  So a batch is of
 * one shard, whose rows two statements lock and write.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store/rotation_shards.h"
#include "store/rotation_windows.h"
#include "store/secret_names.h"
#include "store/secret_table.h"
#include "store/shards.h"
#include "store/statement.h"

/* As SELECT_NEXT of rotation_rows.c, but for the place. */
#define COLUMNS(s) \
	s ".user_id, " s ".provider, " s ".label, " s ".version, " s ".root_key_id, " s ".sealed, " \
	s ".hint, " s ".expires_at, " s ".attributes, " KV_NO_TABLE ", '(0,0)'::pg_catalog.tid"

static KvStatement select_rows = {
	"SELECT " COLUMNS("s") " FROM key_vault_data.secrets s WHERE" KV_ROTATION_IS_LEFT("s", "$1", "$7")
	" AND ROW(s.user_id, s.provider, s.label, s.version) OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)"
	" ORDER BY s.user_id, s.provider, s.label, s.version LIMIT $6",
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID}
};

/* Of names in one shard those that nobody has locked, as they are by now. */
static KvStatement lock_rows = {
	"SELECT " COLUMNS("s") " FROM key_vault_data.secrets s,"
	" ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))"
	" AS n (user_id, provider, label, version)"
	" WHERE " KV_IS_SAME_NAME("s", "n") " AND s.version OPERATOR(pg_catalog.=) n.version"
	KV_IN_SHARD("s", "$2")
	" AND" KV_ROTATION_IS_LEFT("s", "$1", "$6")
	" FOR NO KEY UPDATE OF s SKIP LOCKED",
	6, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, BOOLOID}
};

static KvStatement update_rows = {
	"UPDATE key_vault_data.secrets AS s SET root_key_id = $1, sealed = n.sealed,"
	" hint = CASE WHEN $7 THEN NULL ELSE s.hint END"
	" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
	" pg_catalog.unnest($5), pg_catalog.unnest($6)) AS n (user_id, provider, label, version, sealed)"
	" WHERE " KV_IS_SAME_NAME("s", "n") " AND s.version OPERATOR(pg_catalog.=) n.version"
	KV_IN_SHARD("s", "$2")
	" RETURNING s.*",
	7, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, BYTEAARRAYOID, BOOLOID}
};

/* As many of them as come, in their order. */
static int
read_rows(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[7];
	int			count;

	values[0] = CStringGetTextDatum(goal->root_key_id);
	kv_secret_names_after(after != NULL ? &after->name : NULL, &values[1]);
	values[4] = Int32GetDatum(after != NULL ? after->row.version : 0);
	values[5] = Int64GetDatum(limit);
	values[6] = BoolGetDatum(goal->without_hint);
	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_rows, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	return count;
}

/* The rows of a group: names and versions as four arrays. */
static void
pack(const KvRotationRow *const *rows, const KvSecretName *names, const KvShardGroup *group,
	 Datum arrays[static 4])
{
	Datum	   *versions = palloc(sizeof(Datum) * group->count);

	kv_secret_names_pack(kv_shard_group_names(names, group), group->count, arrays);
	for (int i = 0; i < group->count; i++)
		versions[i] = Int32GetDatum(rows[group->members[i]]->row.version);
	arrays[3] = PointerGetDatum(construct_array(versions, group->count, INT4OID,
												sizeof(int32), true, TYPALIGN_INT));
}

static Datum
pack_sealed(const KvRotationRow *const *rows, const KvShardGroup *group)
{
	Datum	   *sealed = palloc(sizeof(Datum) * group->count);

	for (int i = 0; i < group->count; i++)
		sealed[i] = PointerGetDatum(rows[group->members[i]]->row.sealed);
	return PointerGetDatum(construct_array(sealed, group->count, BYTEAOID,
										   -1, false, TYPALIGN_INT));
}

/* Locks those of the names that nobody has, and puts them behind the count rows that there are. */
static int
lock_names(const KvRotationGoal *goal, const KvRotationRow *wanted, int wanted_count,
		   KvRotationRow *rows, int count)
{
	MemoryContext caller = CurrentMemoryContext;
	const KvRotationRow **pointers = kv_rotation_row_pointers(wanted, wanted_count);
	KvSecretName *names = kv_rotation_row_names(pointers, wanted_count);
	KvShardGroup *groups;
	int			group_count = kv_shard_groups(names, wanted_count, &groups);

	for (int g = 0; g < group_count; g++)
	{
		Datum		values[6];
		uint64		found;

		values[0] = CStringGetTextDatum(goal->root_key_id);
		pack(pointers, names, &groups[g], &values[1]);
		values[5] = BoolGetDatum(goal->without_hint);
		kv_spi_connect();
		found = kv_statement_run_as_owner(&lock_rows, values, NULL, 0);
		MemoryContextSwitchTo(caller);
		for (uint64 i = 0; i < found; i++)
			kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &rows[count++]);
		SPI_finish();
	}
	return count;
}

static int
lock_next(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	int			count = 0;

	if (after == NULL || !kv_rotation_windows_are_open())
		kv_rotation_windows_open(goal, after);
	*rows = palloc(sizeof(KvRotationRow) * limit);
	while (count == 0)
	{
		KvRotationRow *names;
		int			wanted = kv_rotation_windows_next(goal, limit, &names);

		CHECK_FOR_INTERRUPTS();
		if (wanted == 0)
			break;
		count = lock_names(goal, names, wanted, *rows, 0);
	}
	if (count == 0)
		kv_rotation_windows_close();
	return count;
}

int
kv_rotation_shards_next(const KvRotationGoal *goal, const KvRotationRow *after,
						int limit, KvLocked locked, KvRotationRow **rows)
{
	return locked == KV_LOCKED_SKIP ? lock_next(goal, after, limit, rows) :
		read_rows(goal, after, limit, rows);
}

static uint64
update_group(Datum *values, const KvRowCheck *check)
{
	uint64		written;
	bool		isnull;

	kv_spi_connect();
	written = kv_statement_run_as_owner(&update_rows, values, NULL, 0);
	for (uint64 i = 0; i < written; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		Datum		user_id = SPI_getbinval(tuple, columns, KV_SECRETS_USER_ID, &isnull);

		check->returned(DatumGetTextPP(user_id), tuple, columns);
	}
	SPI_finish();
	return written;
}

uint64
kv_rotation_shards_update(const KvRotationGoal *goal, KvRotationRow **rows, int count,
						  const KvRowCheck *check)
{
	const KvRotationRow *const *locked = (const KvRotationRow *const *) rows;
	KvSecretName *names = kv_rotation_row_names(locked, count);
	KvShardGroup *groups;
	int			group_count = kv_shard_groups(names, count, &groups);
	uint64		written = 0;

	for (int g = 0; g < group_count; g++)
	{
		Datum		values[7];

		values[0] = CStringGetTextDatum(goal->root_key_id);
		pack(locked, names, &groups[g], &values[1]);
		values[5] = pack_sealed(locked, &groups[g]);
		values[6] = BoolGetDatum(goal->without_hint);
		written += update_group(values, check);
	}
	return written;
}
