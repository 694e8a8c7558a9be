/*
 * rotation_shards.c
 *		The SQL of a rotation on tables that Citus has distributed.
 *
 * Citus locks rows in one shard at a time.  So a batch reads names from all shards, in the
 * order of the primary key, and locks and writes those of each shard together.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store/rotation_shards.h"
#include "store/secret_names.h"
#include "store/secret_table.h"
#include "store/shards.h"
#include "store/statement.h"

/* As SELECT_NEXT of rotation_rows.c, but for the place. */
#define COLUMNS(s) \
	s ".user_id, " s ".provider, " s ".label, " s ".version, " s ".root_key_id, " s ".sealed, " \
	s ".hint, " s ".expires_at, " s ".attributes, " KV_NO_TABLE ", '(0,0)'::pg_catalog.tid"

#define IS_LEFT \
	" (s.root_key_id OPERATOR(pg_catalog.<>) $1 OR ($7 AND s.hint IS NOT NULL))"

#define NEXT(columns) \
	"SELECT " columns " FROM key_vault_data.secrets s WHERE" IS_LEFT \
	" AND ROW(s.user_id, s.provider, s.label, s.version) OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)" \
	" ORDER BY s.user_id, s.provider, s.label, s.version LIMIT $6"

#define NEXT_ARGUMENTS 7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID}

static KvStatement select_rows = {NEXT(COLUMNS("s")), NEXT_ARGUMENTS};
static KvStatement select_names = {NEXT("s.user_id, s.provider, s.label, s.version"), NEXT_ARGUMENTS};

/* Of names in one shard those that nobody has locked, as they are by now. */
static KvStatement lock_rows = {
	"SELECT " COLUMNS("s") " FROM key_vault_data.secrets s,"
	" ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))"
	" AS n (user_id, provider, label, version)"
	" WHERE " KV_IS_SAME_NAME("s", "n") " AND s.version OPERATOR(pg_catalog.=) n.version"
	KV_IN_SHARD("s", "$2")
	" AND (s.root_key_id OPERATOR(pg_catalog.<>) $1 OR ($6 AND s.hint IS NOT NULL))"
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
run_next(KvStatement *statement, const KvRotationGoal *goal, const KvRotationRow *after, int limit)
{
	Datum		values[7];

	values[0] = CStringGetTextDatum(goal->root_key_id);
	kv_secret_names_after(after != NULL ? &after->name : NULL, &values[1]);
	values[4] = Int32GetDatum(after != NULL ? after->row.version : 0);
	values[5] = Int64GetDatum(limit);
	values[6] = BoolGetDatum(goal->without_hint);
	return (int) kv_statement_run_as_owner(statement, values, NULL, 0);
}

static int
read_rows(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	int			count;

	kv_spi_connect();
	count = run_next(&select_rows, goal, after, limit);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	return count;
}

/* Rows of which nothing but the name and the version is known. */
static int
read_names(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	int			count;

	kv_spi_connect();
	count = run_next(&select_names, goal, after, limit);
	MemoryContextSwitchTo(caller);
	*rows = palloc0(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Datum		columns[4];
		bool		nulls[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		(*rows)[i].name.user_id = DatumGetTextPCopy(columns[0]);
		(*rows)[i].name.provider = DatumGetTextPCopy(columns[1]);
		(*rows)[i].name.label = DatumGetTextPCopy(columns[2]);
		(*rows)[i].row.version = DatumGetInt32(columns[3]);
	}
	SPI_finish();
	return count;
}

static KvSecretName *
names_of(const KvRotationRow *const *rows, int count)
{
	KvSecretName *names = palloc(sizeof(KvSecretName) * Max(count, 1));

	for (int i = 0; i < count; i++)
		names[i] = rows[i]->name;
	return names;
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

static const KvRotationRow **
pointers_to(const KvRotationRow *rows, int count)
{
	const KvRotationRow **pointers = palloc(sizeof(KvRotationRow *) * Max(count, 1));

	for (int i = 0; i < count; i++)
		pointers[i] = &rows[i];
	return pointers;
}

/* Locks those of the names that nobody has, and puts them behind the count rows that there are. */
static int
lock_names(const KvRotationGoal *goal, const KvRotationRow *wanted, int wanted_count,
		   KvRotationRow *rows, int count)
{
	MemoryContext caller = CurrentMemoryContext;
	const KvRotationRow **pointers = pointers_to(wanted, wanted_count);
	KvSecretName *names = names_of(pointers, wanted_count);
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
compare_texts(const text *a, const text *b)
{
	int			a_len = VARSIZE_ANY_EXHDR(a);
	int			b_len = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_len, b_len));

	return order != 0 ? order : a_len - b_len;
}

/* As the primary key has it: the next batch starts behind the last one. */
static int
compare_rows(const void *a, const void *b)
{
	const KvRotationRow *left = a;
	const KvRotationRow *right = b;
	int			order = compare_texts(left->name.user_id, right->name.user_id);

	if (order == 0)
		order = compare_texts(left->name.provider, right->name.provider);
	if (order == 0)
		order = compare_texts(left->name.label, right->name.label);
	return order != 0 ? order : left->row.version - right->row.version;
}

static int
lock_next(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	int			count = 0;
	int			read;

	*rows = palloc(sizeof(KvRotationRow) * limit);
	do
	{
		int			wanted = limit - count;
		KvRotationRow *names;

		CHECK_FOR_INTERRUPTS();
		read = read_names(goal, after, wanted, &names);
		count = lock_names(goal, names, read, *rows, count);
		if (read > 0)
			after = &names[read - 1];
		/* fewer than asked for: these were the last */
		if (read < wanted)
			break;
	} while (count < limit);
	qsort(*rows, count, sizeof(KvRotationRow), compare_rows);
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
	KvSecretName *names = names_of(locked, count);
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
