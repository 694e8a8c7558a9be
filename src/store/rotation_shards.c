/*
 * rotation_shards.c
 *		The SQL of a rotation on tables that Citus has distributed.
 *
 * Citus locks rows in one shard at a time, and the coordinator and the worker plan each
 * statement anew, with its values.  So there are as few of these as can be: a shard is named
 * by one user, rows are found along the primary key, as on one machine, and written by their
 * places, with all that is sealed in one value.  What is written to several nodes is one
 * statement, for Citus has them do that at the same time.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "store/rotation_shards.h"
#include "store/rotation_walk.h"
#include "store/secret_access.h"
#include "store/secret_names.h"
#include "store/secret_table.h"
#include "store/shards.h"
#include "store/statement.h"

#define SELECT_NEXT(columns, in_shard) \
	"SELECT " columns " FROM key_vault_data.secrets s" \
	" WHERE" KV_ROTATION_IS_LEFT("s", "$1", "$7") in_shard \
	" AND ROW(s.user_id, s.provider, s.label, s.version) OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)" \
	" ORDER BY s.user_id, s.provider, s.label, s.version LIMIT $6"

/* KV_ROTATION_ROW_COLUMNS, with no place: the row is on another node. */
static KvStatement select_rows = {
	SELECT_NEXT("s.user_id, s.provider, s.label, s.version, s.root_key_id, s.sealed, s.hint, s.expires_at,"
				" s.attributes, " KV_NO_TABLE ", '(0,0)'::pg_catalog.tid", ""),
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID}
};

/* Of one shard, that of user $8, those that nobody has locked. */
static KvStatement lock_rows = {
	SELECT_NEXT("s.*, s.ctid", " AND s.user_id OPERATOR(key_vault.@=) $8") " FOR NO KEY UPDATE OF s SKIP LOCKED",
	8, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID, TEXTOID}
};

#define STRINGIFIED(number) #number
#define NUMBER(number) STRINGIFIED(number)
#define START NUMBER(KV_SEAL_START)

/*
 * In the shards of users $2.  A place means another row in each shard, and once its shard
 * has moved.  So what is there is looked at: $4 is, for each row, what the one that was read
 * begins with, and behind that what is sealed now.
 */
#define UPDATE_ROWS \
	"UPDATE key_vault_data.secrets AS s SET root_key_id = $1," \
	" sealed = pg_catalog.substr($4, n.start OPERATOR(pg_catalog.+) " START ", n.length)," \
	" hint = CASE WHEN $7 THEN NULL ELSE s.hint END" \
	" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($5), pg_catalog.unnest($6)) AS n (place, start, length)" \
	" WHERE s.ctid OPERATOR(pg_catalog.=) ANY ($3) AND s.ctid OPERATOR(pg_catalog.=) n.place" \
	" AND s.user_id OPERATOR(key_vault.@=) ANY ($2)" \
	" AND pg_catalog.substr(s.sealed, 1, " START ") OPERATOR(pg_catalog.=) pg_catalog.substr($4, n.start, " START ")"

#define UPDATE_ARGUMENTS \
	7, {TEXTOID, TEXTARRAYOID, TIDARRAYOID, BYTEAOID, INT4ARRAYOID, INT4ARRAYOID, BOOLOID}

static KvStatement update_rows = {UPDATE_ROWS, UPDATE_ARGUMENTS};
static KvStatement update_and_return_rows = {UPDATE_ROWS " RETURNING s.*", UPDATE_ARGUMENTS};

/* Bytes sealed that one statement writes, or those of one row. */
#define UPDATE_MAX (16 * 1024 * 1024)

static int
read_next(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[7];
	int			count;

	kv_rotation_rows_behind(goal, after, limit, values);
	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_rows, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	return count;
}

/* As lock_rows has it: the whole row, and behind it its place. */
static void
unpack(HeapTuple tuple, TupleDesc columns, TupleTableSlot *slot, KvRotationRow *row)
{
	bool		isnull;
	Datum		place = heap_getattr(tuple, columns->natts, columns, &isnull);

	memset(row, 0, sizeof(*row));
	row->whole = heap_copytuple(tuple);
	row->columns = columns;
	kv_returned_store(slot, row->whole, columns);
	kv_secret_table_unpack(slot, &row->row);
	row->name.user_id = DatumGetTextPP(slot->tts_values[KV_SECRETS_USER_ID - 1]);
	row->name.provider = DatumGetTextPP(slot->tts_values[KV_SECRETS_PROVIDER - 1]);
	row->name.label = DatumGetTextPP(slot->tts_values[KV_SECRETS_LABEL - 1]);
	ItemPointerCopy((ItemPointer) DatumGetPointer(place), &row->place);
	memcpy(row->seal_start, VARDATA_ANY(row->row.sealed),
		   Min(VARSIZE_ANY_EXHDR(row->row.sealed), KV_SEAL_START));
}

/* The next rows of a shard, behind the count that there are; how many they are. */
static int
lock_in_shard(const KvRotationGoal *goal, KvShardWalk *shard, int limit, TupleTableSlot *slot,
			  KvRotationRow **rows, int count)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[8];
	TupleDesc	columns;
	int			found;

	kv_rotation_rows_behind(goal, shard->after, limit, values);
	values[7] = PointerGetDatum(shard->user_id);
	kv_spi_connect();
	found = (int) kv_statement_run_as_owner(&lock_rows, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	columns = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	*rows = repalloc_huge(*rows, sizeof(KvRotationRow) * (count + found + 1));
	for (int i = 0; i < found; i++)
		unpack(SPI_tuptable->vals[i], columns, slot, &(*rows)[count + i]);
	SPI_finish();
	if (found < limit)
		shard->ended = true;
	else
		kv_rotation_walk_advance(shard, &(*rows)[count + found - 1]);
	return found;
}

/* From that shard on, those of one node; the answer is how many there are now. */
static int
lock_on_node(const KvRotationGoal *goal, KvShardWalk *shard, int limit, TupleTableSlot *slot,
			 KvRotationRow **rows, int count)
{
	int			full = count + limit;

	while (shard != NULL && count < full)
	{
		CHECK_FOR_INTERRUPTS();
		count += lock_in_shard(goal, shard, full - count, slot, rows, count);
		shard = kv_rotation_walk_beside(shard);
	}
	return count;
}

static int
lock_next(const KvRotationGoal *goal, const KvRotationRow *after, int limit, KvRotationRow **rows)
{
	Relation	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	TupleTableSlot *slot = kv_returned_slot(rel);
	KvShardWalk **shards;
	int			count = 0;
	int			shard_count;

	if (after == NULL || !kv_rotation_walk_is_on())
		kv_rotation_walk_start(goal);
	kv_shards_keep_to_primary_key();
	*rows = palloc(sizeof(KvRotationRow));
	do
	{
		shard_count = kv_rotation_walk_next(&shards);
		for (int i = 0; i < shard_count; i++)
			count = lock_on_node(goal, shards[i], limit, slot, rows, count);
	} while (count == 0 && shard_count > 0);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return count;
}

int
kv_rotation_shards_next(const KvRotationGoal *goal, const KvRotationRow *after,
						int limit, KvLocked locked, KvRotationRow **rows)
{
	return locked == KV_LOCKED_SKIP ? lock_next(goal, after, limit, rows) :
		read_next(goal, after, limit, rows);
}

/* One user of each shard that rows are in, as an array. */
static Datum
pack_users(KvRotationRow *const *rows, int count)
{
	KvSecretName *names = palloc(sizeof(KvSecretName) * count);
	Datum	   *users = palloc(sizeof(Datum) * count);
	KvShardGroup *groups;
	int			group_count;

	for (int i = 0; i < count; i++)
		names[i] = rows[i]->name;
	group_count = kv_shard_groups(names, count, &groups);
	for (int i = 0; i < group_count; i++)
		users[i] = PointerGetDatum(names[groups[i].members[0]].user_id);
	return PointerGetDatum(construct_array(users, group_count, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
int4_array(Datum *elements, int count)
{
	return PointerGetDatum(construct_array(elements, count, INT4OID,
										   sizeof(int32), true, TYPALIGN_INT));
}

/* The parameters $3 to $6 for rows. */
static void
pack(KvRotationRow *const *rows, int count, Datum values[static 4])
{
	Datum	   *places = palloc(sizeof(Datum) * count);
	Datum	   *starts = palloc(sizeof(Datum) * count);
	Datum	   *lengths = palloc(sizeof(Datum) * count);
	StringInfoData sealed;

	initStringInfo(&sealed);
	appendStringInfoSpaces(&sealed, VARHDRSZ);
	for (int i = 0; i < count; i++)
	{
		const bytea *new = rows[i]->row.sealed;
		int			length = VARSIZE_ANY_EXHDR(new);

		places[i] = PointerGetDatum(&rows[i]->place);
		starts[i] = Int32GetDatum(sealed.len - VARHDRSZ + 1);
		lengths[i] = Int32GetDatum(length);
		appendBinaryStringInfo(&sealed, rows[i]->seal_start, KV_SEAL_START);
		appendBinaryStringInfo(&sealed, VARDATA_ANY(new), length);
	}
	SET_VARSIZE(sealed.data, sealed.len);
	values[0] = PointerGetDatum(construct_array(places, count, TIDOID,
												sizeof(ItemPointerData), false, TYPALIGN_SHORT));
	values[1] = PointerGetDatum(sealed.data);
	values[2] = int4_array(starts, count);
	values[3] = int4_array(lengths, count);
}

/*
 * The rows as they will be.  A trigger of this database may write another: then what was
 * written is looked at.
 */
static void
check_rows(const KvRotationGoal *goal, KvRotationRow *const *rows, int count, Relation rel,
		   const KvRowCheck *check)
{
	TupleTableSlot *slot = kv_returned_slot(rel);
	KvAccess   *access = kv_access_hold(kv_access_now(rel));
	Datum		root_key_id = CStringGetTextDatum(goal->root_key_id);

	PG_TRY();
	{
		KvPolicy   *policy = kv_access_policy(access, rel, KV_POLICY_UPDATE);

		for (int i = 0; i < count; i++)
		{
			kv_returned_store(slot, rows[i]->whole, rows[i]->columns);
			slot->tts_values[KV_SECRETS_ROOT_KEY_ID - 1] = root_key_id;
			slot->tts_values[KV_SECRETS_SEALED - 1] = PointerGetDatum(rows[i]->row.sealed);
			if (goal->without_hint)
				slot->tts_isnull[KV_SECRETS_HINT - 1] = true;
			check->in_slot(rows[i]->name.user_id, policy, rel, slot);
		}
	}
	PG_FINALLY();
	{
		kv_access_release(access);
	}
	PG_END_TRY();
	ExecDropSingleTupleTableSlot(slot);
}

static void
check_returned(uint64 count, const KvRowCheck *check)
{
	bool		isnull;

	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		Datum		user_id = SPI_getbinval(tuple, columns, KV_SECRETS_USER_ID, &isnull);

		check->returned(DatumGetTextPP(user_id), tuple, columns);
	}
}

static uint64
update(const KvRotationGoal *goal, KvRotationRow *const *rows, int count, const KvRowCheck *check)
{
	Relation	rel = table_open(kv_secret_table_oid(), RowExclusiveLock);
	bool		has_trigger = rel->trigdesc != NULL && rel->trigdesc->trig_update_before_row;
	Datum		values[7];
	uint64		written;

	if (!has_trigger)
		check_rows(goal, rows, count, rel, check);
	values[0] = CStringGetTextDatum(goal->root_key_id);
	values[1] = pack_users(rows, count);
	pack(rows, count, &values[2]);
	values[6] = BoolGetDatum(goal->without_hint);
	kv_spi_connect();
	written = kv_statement_run_as_owner(has_trigger ? &update_and_return_rows : &update_rows, values, NULL, 0);
	if (has_trigger)
		check_returned(written, check);
	SPI_finish();
	table_close(rel, NoLock);
	return written;
}

uint64
kv_rotation_shards_update(const KvRotationGoal *goal, KvRotationRow **rows, int count,
						  const KvRowCheck *check)
{
	uint64		written = 0;
	int			first = 0;

	while (first < count)
	{
		int64		size = 0;
		int			next = first;

		do
		{
			size += VARSIZE_ANY_EXHDR(rows[next]->row.sealed);
			next++;
		} while (next < count && size < UPDATE_MAX);
		written += update(goal, &rows[first], next - first, check);
		first = next;
	}
	return written;
}
