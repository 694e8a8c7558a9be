/*
 * rotation_rows.c
 *		The SQL of a rotation.
 *
 * Which rows are left is never written down: they are those that are not as they
 * shall be.  So a rotation that was cut short goes on by starting again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/distribution.h"
#include "store/rotation_rows.h"
#include "store/rotation_shards.h"
#include "store/rotation_writes.h"
#include "store/secret_names.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define IS_LEFT(root_key_id, without_hint) \
	" (root_key_id OPERATOR(pg_catalog.<>) " root_key_id \
	" OR (" without_hint " AND hint IS NOT NULL))"

#define SELECT_NEXT \
	"SELECT " KV_ROTATION_ROW_COLUMNS \
	" FROM key_vault_data.secrets" \
	" WHERE" IS_LEFT("$1", "$7") \
	" AND ROW(user_id, provider, label, version) OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)" \
	" ORDER BY user_id, provider, label, version" \
	" LIMIT $6"

#define SELECT_NEXT_ARGUMENTS \
	7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID}

static KvStatement select_next[] = {
	[KV_LOCKED_READ] = {SELECT_NEXT, SELECT_NEXT_ARGUMENTS},
	[KV_LOCKED_SKIP] = {SELECT_NEXT " FOR NO KEY UPDATE SKIP LOCKED", SELECT_NEXT_ARGUMENTS}
};

/* By place, which is cheaper than by name: a row that is locked stays where it is. */
static KvStatement update_batch = {
	"UPDATE key_vault_data.secrets AS s SET root_key_id = $1, sealed = n.sealed,"
	" hint = CASE WHEN $5 THEN NULL ELSE s.hint END"
	" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
	" AS n (tab, place, sealed)"
	" WHERE s.ctid OPERATOR(pg_catalog.=) n.place"
	" AND s.tableoid OPERATOR(pg_catalog.=) n.tab"
	" RETURNING s.*",
	5, {TEXTOID, OIDARRAYOID, TIDARRAYOID, BYTEAARRAYOID, BOOLOID}
};

static KvStatement count_left = {
	"SELECT pg_catalog.count(*) FROM key_vault_data.secrets"
	" WHERE" IS_LEFT("$1", "$2"),
	2, {TEXTOID, BOOLOID}
};

static KvStatement record_start = {
	"INSERT INTO key_vault_data.rotation AS r (root_key_id, total) VALUES ($1, $2)"
	" ON CONFLICT (single) DO UPDATE SET root_key_id = EXCLUDED.root_key_id,"
	" total = EXCLUDED.total, done = 0, failed = 0, pid = EXCLUDED.pid,"
	" started_at = EXCLUDED.started_at, updated_at = EXCLUDED.updated_at, finished_at = NULL",
	2, {TEXTOID, INT8OID}
};

static KvStatement record_progress = {
	"UPDATE key_vault_data.rotation SET root_key_id = $1, total = $2, done = $3, failed = $4,"
	" updated_at = pg_catalog.clock_timestamp()",
	4, {TEXTOID, INT8OID, INT8OID, INT8OID}
};

static KvStatement record_finish = {
	"UPDATE key_vault_data.rotation SET finished_at = pg_catalog.clock_timestamp()",
	0
};

int64
kv_rotation_rows_count(const KvRotationGoal *goal)
{
	Datum		values[2];
	int64		count;
	bool		isnull;

	values[0] = CStringGetTextDatum(goal->root_key_id);
	values[1] = BoolGetDatum(goal->without_hint);
	kv_spi_connect();
	(void) kv_statement_run_as_owner(&count_left, values, NULL, 0);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return count;
}

void
kv_rotation_row_unpack(HeapTuple tuple, TupleDesc columns, KvRotationRow *row)
{
	Datum		values[11];
	bool		nulls[11];
	text	   *id;

	heap_deform_tuple(tuple, columns, values, nulls);
	memset(row, 0, sizeof(*row));
	row->name.user_id = DatumGetTextPCopy(values[0]);
	row->name.provider = DatumGetTextPCopy(values[1]);
	row->name.label = DatumGetTextPCopy(values[2]);
	row->row.version = DatumGetInt32(values[3]);
	id = DatumGetTextPP(values[4]);
	if (VARSIZE_ANY_EXHDR(id) == KV_ROOT_KEY_ID_HEX)
		memcpy(row->row.root_key_id, VARDATA_ANY(id), KV_ROOT_KEY_ID_HEX);
	row->row.sealed = DatumGetByteaPCopy(values[5]);
	if (!nulls[6])
		row->row.hint = DatumGetTextPCopy(values[6]);
	row->row.has_expiry = !nulls[7];
	if (!nulls[7])
		row->row.expires_at = DatumGetTimestampTz(values[7]);
	if (!nulls[8])
		row->row.attributes = DatumGetJsonbPCopy(values[8]);
	row->table = DatumGetObjectId(values[9]);
	ItemPointerCopy((ItemPointer) DatumGetPointer(values[10]), &row->place);
}

KvRotationRow *
kv_rotation_row_position(const KvRotationRow *row, MemoryContext context)
{
	MemoryContext caller;
	KvRotationRow *position;

	MemoryContextReset(context);
	caller = MemoryContextSwitchTo(context);
	position = palloc0(sizeof(KvRotationRow));
	position->name.user_id = DatumGetTextPCopy(PointerGetDatum(row->name.user_id));
	position->name.provider = DatumGetTextPCopy(PointerGetDatum(row->name.provider));
	position->name.label = DatumGetTextPCopy(PointerGetDatum(row->name.label));
	position->row.version = row->row.version;
	MemoryContextSwitchTo(caller);
	return position;
}

void
kv_rotation_rows_behind(const KvRotationGoal *goal, const KvRotationRow *after, int limit,
						Datum values[static 7])
{
	values[0] = CStringGetTextDatum(goal->root_key_id);
	kv_secret_names_after(after != NULL ? &after->name : NULL, &values[1]);
	values[4] = Int32GetDatum(after != NULL ? after->row.version : 0);
	values[5] = Int64GetDatum(limit);
	values[6] = BoolGetDatum(goal->without_hint);
}

int
kv_rotation_rows_next(const KvRotationGoal *goal, const KvRotationRow *after,
					  int limit, KvLocked locked, KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[7];
	int			nest_level;
	int			count;

	if (kv_is_distributed())
		return kv_rotation_shards_next(goal, after, limit, locked, rows);
	kv_rotation_rows_behind(goal, after, limit, values);
	nest_level = kv_statement_keep_to_primary_key();
	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_next[locked], values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		kv_rotation_row_unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
	return count;
}

/* The columns of the rows as arrays, which the statement's parameters are. */
static void
pack(KvRotationRow **rows, int count, Datum *arrays)
{
	Datum	   *elements = palloc(sizeof(Datum) * count);

	for (int i = 0; i < count; i++)
		elements[i] = ObjectIdGetDatum(rows[i]->table);
	arrays[0] = PointerGetDatum(construct_array(elements, count, OIDOID,
												sizeof(Oid), true, TYPALIGN_INT));
	for (int i = 0; i < count; i++)
		elements[i] = PointerGetDatum(&rows[i]->place);
	arrays[1] = PointerGetDatum(construct_array(elements, count, TIDOID,
												sizeof(ItemPointerData), false, TYPALIGN_SHORT));
	for (int i = 0; i < count; i++)
		elements[i] = PointerGetDatum(rows[i]->row.sealed);
	arrays[2] = PointerGetDatum(construct_array(elements, count, BYTEAOID,
												-1, false, TYPALIGN_INT));
	pfree(elements);
}

uint64
kv_rotation_rows_update(const KvRotationGoal *goal, KvRotationRow **rows, int count,
						const KvRowCheck *check)
{
	Datum		values[5];
	uint64		written;
	int			nest_level;
	bool		isnull;

	if (kv_is_distributed())
		return kv_rotation_shards_update(goal, rows, count, check);
	if (kv_rotation_write_straight(goal, rows, count, check, &written))
		return written;
	values[0] = CStringGetTextDatum(goal->root_key_id);
	pack(rows, count, &values[1]);
	values[4] = BoolGetDatum(goal->without_hint);

	nest_level = kv_statement_keep_to_primary_key();
	kv_spi_connect();
	written = kv_statement_run_as_owner(&update_batch, values, NULL, 0);
	for (uint64 i = 0; i < written; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		Datum		user_id = SPI_getbinval(tuple, columns, KV_SECRETS_USER_ID, &isnull);

		check->returned(DatumGetTextPP(user_id), tuple, columns);
	}
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
	return written;
}

static void
record(KvStatement *statement, Datum *values)
{
	kv_spi_connect();
	(void) kv_statement_run_as_owner(statement, values, NULL, 0);
	SPI_finish();
}

void
kv_rotation_rows_started(const char *root_key_id, int64 total)
{
	Datum		values[2];

	values[0] = CStringGetTextDatum(root_key_id);
	values[1] = Int64GetDatum(total);
	record(&record_start, values);
}

void
kv_rotation_rows_progress(const char *root_key_id, const KvRotationProgress *progress)
{
	Datum		values[4];

	values[0] = CStringGetTextDatum(root_key_id);
	values[1] = Int64GetDatum(progress->total);
	values[2] = Int64GetDatum(progress->done);
	values[3] = Int64GetDatum(progress->failed);
	record(&record_progress, values);
}

void
kv_rotation_rows_finished(void)
{
	record(&record_finish, NULL);
}
