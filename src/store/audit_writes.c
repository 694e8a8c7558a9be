/*
 * audit_writes.c
 *		Adds records to key_vault_data.audit without a planner or an executor, many rows
 *		at a time, as COPY does: by a statement, a record costs eight times as much.
 *
 * That is only for a table as the install script made it.  Any other one is for a
 * statement: with triggers, rules or constraints of its own, partitions, more columns, or
 * an index that more than columns decide about.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/audit_indexes.h"
#include "store/audit_writes.h"
#include "store/watched_table.h"

#define CHUNK 100				/* rows that are put into the table at once */

static KvWatchedTable audit = {.name = "audit"};

void
kv_audit_writes_init(void)
{
	kv_watch_table(&audit);
}

static bool
has_no_constraints(TupleDesc columns)
{
	const TupleConstr *constraints = columns->constr;

	return constraints == NULL ||
		(constraints->num_check == 0 && constraints->num_defval == 0 &&
		 !constraints->has_generated_stored);
}

static bool
has_all_columns(TupleDesc columns)
{
	if (columns->natts != KV_AUDIT_COLUMNS)
		return false;
	for (int i = 0; i < columns->natts; i++)
	{
		if (TupleDescAttr(columns, i)->attisdropped)
			return false;
	}
	return true;
}

static bool
table_is_as_shipped(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		!rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass &&
		rel->rd_rules == NULL &&
		rel->trigdesc == NULL &&
		!rel->rd_rel->relforcerowsecurity &&
		has_all_columns(RelationGetDescr(rel)) &&
		has_no_constraints(RelationGetDescr(rel));
}

/*
 * Memory for the values and tuples of a chunk, reused from chunk to chunk: what palloc
 * would take for each value is not worth it.
 */
#define ARENA_BYTES (64 * 1024)

typedef struct Arena
{
	MemoryContext context;
	char	   *free;
	Size		left;
} Arena;

static Datum
put_bytes(Arena *arena, const void *bytes, Size len)
{
	Size		size = MAXALIGN(VARHDRSZ + len);
	char	   *value;

	if (arena->free == NULL || arena->left < size)
	{
		arena->left = Max(ARENA_BYTES, size);
		arena->free = MemoryContextAlloc(arena->context, arena->left);
	}
	value = arena->free;
	arena->free += size;
	arena->left -= size;
	/* as short as it will be in the table, so that it is copied as it is */
	if (len + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
		SET_VARSIZE_SHORT(value, len + VARHDRSZ_SHORT);
	else
		SET_VARSIZE(value, len + VARHDRSZ);
	memcpy(VARDATA_ANY(value), bytes, len);
	return PointerGetDatum(value);
}

static void
fill_slot(TupleTableSlot *slot, Arena *arena, const KvAuditRow *row)
{
	Datum	   *values = slot->tts_values;
	bool	   *nulls = slot->tts_isnull;
	const char *const texts[] = {
		row->action, row->outcome, row->user_id, row->provider, row->label, row->subject,
		row->role, row->application_name, row->client_addr, row->sqlstate, row->team_id
	};
	static const int text_at[] = {2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 17};

	StaticAssertStmt(lengthof(texts) == lengthof(text_at), "each text has its column");
	ExecClearTuple(slot);
	memset(nulls, false, sizeof(bool) * KV_AUDIT_COLUMNS);
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		nulls[text_at[i]] = texts[i] == NULL;
		if (texts[i] != NULL)
			values[text_at[i]] = put_bytes(arena, texts[i], strlen(texts[i]));
	}
	values[0] = Int64GetDatum(row->number);
	values[1] = TimestampTzGetDatum(row->at);
	values[7] = Int32GetDatum(row->version);
	nulls[7] = row->version == 0;
	values[12] = Int32GetDatum(row->pid);
	values[13] = TimestampTzGetDatum(row->backend_start);
	nulls[15] = !row->has_user_hash;
	if (row->has_user_hash)
		values[15] = put_bytes(arena, row->user_hash, sizeof(row->user_hash));
	values[16] = put_bytes(arena, row->mac, sizeof(row->mac));
	nulls[18] = !row->has_team_hash;
	if (row->has_team_hash)
		values[18] = put_bytes(arena, row->team_hash, sizeof(row->team_hash));
	ExecStoreVirtualTuple(slot);
}

typedef struct Inserter
{
	Relation	rel;
	KvAuditIndexes *indexes;
	TupleTableSlot *slots[CHUNK];
	BulkInsertState bulk;
	Arena		arena;
} Inserter;

static void
insert_chunk(Inserter *inserter, const KvAuditRow *rows, int count)
{
	MemoryContext caller = MemoryContextSwitchTo(inserter->arena.context);

	for (int i = 0; i < count; i++)
		fill_slot(inserter->slots[i], &inserter->arena, &rows[i]);
	table_multi_insert(inserter->rel, inserter->slots, count, GetCurrentCommandId(true), 0,
					   inserter->bulk);
	kv_audit_indexes_put(inserter->indexes, inserter->rel, inserter->slots, count);
	for (int i = 0; i < count; i++)
		ExecClearTuple(inserter->slots[i]);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(inserter->arena.context);
	inserter->arena.left = 0;
}

static void
insert_rows(Relation rel, KvAuditIndexes *indexes, const KvAuditRow *rows, int count)
{
	Inserter	inserter = {rel, indexes};
	int			slot_count = Min(count, CHUNK);

	/* what a chunk takes stays with the context when it is reset */
	inserter.arena.context = AllocSetContextCreate(CurrentMemoryContext, "key_vault audit chunk",
												   4 * ARENA_BYTES, 4 * ARENA_BYTES, 16 * ARENA_BYTES);
	inserter.bulk = GetBulkInsertState();
	for (int i = 0; i < slot_count; i++)
		inserter.slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	for (int done = 0; done < count; done += CHUNK)
		insert_chunk(&inserter, rows + done, Min(count - done, CHUNK));
	for (int i = 0; i < slot_count; i++)
		ExecDropSingleTupleTableSlot(inserter.slots[i]);
	FreeBulkInsertState(inserter.bulk);
	table_finish_bulk_insert(rel, 0);
	MemoryContextDelete(inserter.arena.context);
}

static Relation
open_table(void)
{
	Oid			oid = kv_watched_table_oid(&audit);

	return OidIsValid(oid) ? try_table_open(oid, RowExclusiveLock) : NULL;
}

bool
kv_audit_rows_insert_straight(const KvAuditRow *rows, int count)
{
	Relation	rel = open_table();
	KvAuditIndexes *indexes;

	/* the statement says what is wrong */
	if (rel == NULL)
		return false;
	indexes = table_is_as_shipped(rel) ? kv_audit_indexes_open(rel) : NULL;
	if (indexes != NULL)
	{
		insert_rows(rel, indexes, rows, count);
		kv_audit_indexes_close(indexes);
	}
	table_close(rel, NoLock);
	return indexes != NULL;
}
