/*
 * rotation_writes.c
 *		Writes the rows of a batch without a planner or an executor, by their places: they
 *		are locked, and so stay there.
 *
 * What an UPDATE runs for a row is run here too: constraints, the table's policy, and
 * every index that the row is in.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "store/privileges.h"
#include "store/rotation_writes.h"
#include "store/secret_access.h"
#include "store/secret_checks.h"
#include "store/secret_table.h"

typedef struct Batch
{
	const KvRotationGoal *goal;
	KvRotationRow **rows;
	int			count;
	const KvRowCheck *check;
	bool		done;

	KvAccess   *access;
	KvRowChecks *checks;
	KvPolicy   *policy;
	ResultRelInfo *target;
	EState	   *estate;
	Datum		root_key_id;
} Batch;

/* The row as it will be, which points into the one that there is. */
static TupleTableSlot *
fill_slot(Batch *batch, const KvRotationRow *row)
{
	TupleTableSlot *old = batch->access->slot;
	TupleTableSlot *new = ExecClearTuple(batch->checks->slot);
	Relation	rel = batch->target->ri_RelationDesc;
	ItemPointerData place = row->place;

	if (!table_tuple_fetch_row_version(rel, &place, SnapshotAny, old))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("a locked row of table \"%s\" has gone", RelationGetRelationName(rel))));
	slot_getallattrs(old);
	memcpy(new->tts_values, old->tts_values, sizeof(Datum) * KV_SECRETS_COLUMNS);
	memcpy(new->tts_isnull, old->tts_isnull, sizeof(bool) * KV_SECRETS_COLUMNS);
	new->tts_values[KV_SECRETS_ROOT_KEY_ID - 1] = batch->root_key_id;
	new->tts_values[KV_SECRETS_SEALED - 1] = PointerGetDatum(row->row.sealed);
	if (batch->goal->without_hint)
		new->tts_isnull[KV_SECRETS_HINT - 1] = true;
	ExecStoreVirtualTuple(new);
	new->tts_tableOid = RelationGetRelid(rel);
	return new;
}

/*
 * Puts the row's new place into the indexes that it is in.  That it is unique need not be
 * asked: its name and version are as they were, in a row that is locked.  Nor need a full
 * page of the index look at the table for rows that are dead: the scan that found the
 * rows of the batch has marked them.
 */
static void
put_into_indexes(const Batch *batch, TupleTableSlot *slot)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < batch->target->ri_NumIndices; i++)
	{
		Relation	index = batch->target->ri_IndexRelationDescs[i];
		IndexInfo  *info = batch->target->ri_IndexRelationInfo[i];

		/* the one index that not every row is in */
		if (info->ii_Predicate != NIL && slot->tts_isnull[KV_SECRETS_EXPIRES_AT - 1])
			continue;
		FormIndexDatum(info, slot, batch->estate, values, nulls);
		(void) index_insert(index, values, nulls, &slot->tts_tid,
							batch->target->ri_RelationDesc, UNIQUE_CHECK_NO, false, info);
	}
}

static void
write_row(Batch *batch, const KvRotationRow *row)
{
	TupleTableSlot *slot = fill_slot(batch, row);
	ItemPointerData place = row->place;

	ExecConstraints(batch->target, slot, batch->estate);
	batch->check->in_slot(row->name.user_id, batch->policy, batch->target->ri_RelationDesc, slot);
	if (kv_table_tuple_update(batch->target->ri_RelationDesc, &place, slot, GetActiveSnapshot()))
		put_into_indexes(batch, slot);
	ResetPerTupleExprContext(batch->estate);
}

static void
write_rows(KvAccess *access, Relation rel, void *arg)
{
	Batch	   *batch = arg;

	batch->access = access;
	batch->checks = kv_row_checks(access, rel);
	if (batch->checks == NULL)
		return;
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	batch->policy = kv_access_policy(access, rel, KV_POLICY_UPDATE);
	batch->root_key_id = CStringGetTextDatum(batch->goal->root_key_id);
	batch->estate = CreateExecutorState();
	batch->target = makeNode(ResultRelInfo);
	InitResultRelInfo(batch->target, rel, 0, NULL, 0);
	batch->target->ri_CheckConstraintExprs = batch->checks->constraints;
	ExecOpenIndices(batch->target, false);
	PushActiveSnapshot(GetTransactionSnapshot());

	for (int i = 0; i < batch->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_row(batch, batch->rows[i]);
	}

	PopActiveSnapshot();
	ExecClearTuple(batch->checks->slot);
	ExecClearTuple(access->slot);
	ExecCloseIndices(batch->target);
	FreeExecutorState(batch->estate);
	batch->done = true;
}

/* A row of a partition, which the table may have had a moment ago, is not in the table. */
static bool
are_in_table(KvRotationRow **rows, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (rows[i]->table != kv_secret_table_oid())
			return false;
	}
	return true;
}

bool
kv_rotation_write_straight(const KvRotationGoal *goal, KvRotationRow **rows, int count,
						   const KvRowCheck *check, uint64 *written)
{
	Batch		batch = {.goal = goal, .rows = rows, .count = count, .check = check};

	PreventCommandIfReadOnly("UPDATE");
	PreventCommandIfParallelMode("UPDATE");
	if (kv_privileges_are_watched() || !are_in_table(rows, count) ||
		!kv_access_go_straight(RowExclusiveLock, write_rows, &batch) || !batch.done)
		return false;
	CommandCounterIncrement();
	*written = count;
	return true;
}
