/*
 * compat.h
 *		Every difference between server versions, wrapped to the newest
 *		signature.  No other file asks for PG_VERSION_NUM.
 */
#ifndef KV_COMPAT_H
#define KV_COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "executor/executor.h"
#include "parser/analyze.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "key_vault needs PostgreSQL 15 or newer"
#endif

/* 16 moved the macros for variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 says it in front of the declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18 tells apart whether a deferrable primary key will do; ours never is. */
#if PG_VERSION_NUM >= 180000
#define kv_primary_key_index(rel) RelationGetPrimaryKeyIndex((rel), false)
#else
#define kv_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* 18 counts index searches for EXPLAIN; 19 has flags for the table's part of a scan. */
#if PG_VERSION_NUM >= 190000
#define kv_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), 0, 0)
#elif PG_VERSION_NUM >= 180000
#define kv_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), 0)
#else
#define kv_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), (nkeys), 0)
#endif

/* 17 has the transaction's number, by which locks are held, in a structure. */
#if PG_VERSION_NUM >= 170000
#define kv_local_transaction_id() (MyProc->vxid.lxid)
#else
#define kv_local_transaction_id() (MyProc->lxid)
#endif

/*
 * How many transactions have ended that had an xid, replayed ones too: what snapshots depend on.
 * It is read before what is to be remembered under it.  17 renamed where it is.
 */
#if PG_VERSION_NUM >= 170000
#define kv_xact_completion_count() (TransamVariables->xactCompletionCount)
#else
#define kv_xact_completion_count() (ShmemVariableCache->xactCompletionCount)
#endif

/* 17 took out old_snapshot_threshold. */
#if PG_VERSION_NUM >= 170000
#define kv_snapshots_age() false
#else
#include "utils/snapmgr.h"
#define kv_snapshots_age() OldSnapshotThresholdActive()
#endif

/*
 * How a scan is kept for another use depends on what is in its descriptor; 19's was not
 * looked at.
 */
#define KV_INDEX_SCANS_ARE_KNOWN (PG_VERSION_NUM < 190000)

/* 18 tells CHECK constraints apart from others, and has some that are not enforced. */
#if PG_VERSION_NUM >= 180000
#define kv_check_is_enforced(check) ((check)->ccenforced)
#else
#define kv_check_is_enforced(check) true
#define ri_CheckConstraintExprs ri_ConstraintExprs
#endif

/* 16 can leave out summarizing indexes, which a new row never does; 19 has flags. */
static inline void
kv_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate,
					   bool *conflict)
{
#if PG_VERSION_NUM >= 190000
	(void) ExecInsertIndexTuples(target, estate, EIIT_NO_DUPE_ERROR, slot, NIL, conflict);
#elif PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(target, slot, estate, false, true, conflict, NIL, false);
#else
	(void) ExecInsertIndexTuples(target, slot, estate, false, true, conflict, NIL);
#endif
}

/* 19 has options for it, of which we want none. */
static inline TM_Result
kv_table_tuple_delete(Relation rel, ItemPointer tid, CommandId command, Snapshot snapshot,
					  TM_FailureData *failure)
{
#if PG_VERSION_NUM >= 190000
	return table_tuple_delete(rel, tid, command, 0, snapshot, InvalidSnapshot, true, failure);
#else
	return table_tuple_delete(rel, tid, command, snapshot, InvalidSnapshot, true, failure, false);
#endif
}

/*
 * For a row that is locked.  True when its indexes need entries for its new place.  16 tells
 * apart indexes that only summarize, of which we have none.
 */
static inline bool
kv_table_tuple_update(Relation rel, ItemPointer tid, TupleTableSlot *slot, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes indexes;

	simple_table_tuple_update(rel, tid, slot, snapshot, &indexes);
	return indexes == TU_All;
#else
	bool		indexes;

	simple_table_tuple_update(rel, tid, slot, snapshot, &indexes);
	return indexes;
#endif
}

/* 19 has one state for building a jsonb, in which the result is at the end. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState KvJsonbState;
#define kv_push_jsonb(state, token, value) pushJsonbValue((state), (token), (value))
#else
typedef struct KvJsonbState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} KvJsonbState;

static inline void
kv_push_jsonb(KvJsonbState *state, JsonbIteratorToken token, JsonbValue *value)
{
	state->result = pushJsonbValue(&state->parseState, token, value);
}
#endif

/* 19 moved get_database_name(). */
#if PG_VERSION_NUM >= 190000
#include "utils/lsyscache.h"
#else
#include "commands/dbcommands.h"
#endif

/* 16 moved the privileges of a range table entry into a node of their own. */
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"

typedef RTEPermissionInfo KvPermissions;

static inline KvPermissions *
kv_permissions_of(RangeTblEntry *rte, List **permissions)
{
	return addRTEPermissionInfo(permissions, rte);
}

static inline void
kv_check_permissions(List *range_table, List *permissions)
{
	(void) ExecCheckPermissions(range_table, permissions, true);
}

#define kv_set_permissions(statement, permissions) ((statement)->permInfos = (permissions))
#else
typedef RangeTblEntry KvPermissions;

static inline KvPermissions *
kv_permissions_of(RangeTblEntry *rte, List **permissions)
{
	*permissions = NIL;
	return rte;
}

static inline void
kv_check_permissions(List *range_table, List *permissions)
{
	(void) permissions;
	(void) ExecCheckRTPerms(range_table, true);
}

#define kv_set_permissions(statement, permissions) ((void) (permissions))
#endif

/* 17 has no snapshots for BRIN indexes, and gives back at the end what inserting kept. */
#if PG_VERSION_NUM >= 170000
#define kv_brin_revmap(index, blocks) brinRevmapInitialize((index), (blocks))
#define kv_brin_tuple(revmap, block, buffer, offset) \
	brinGetTupleForHeapBlock((revmap), (block), (buffer), (offset), NULL, BUFFER_LOCK_SHARE)
#define kv_index_insert_cleanup(index, info) index_insert_cleanup((index), (info))
#else
#define kv_brin_revmap(index, blocks) brinRevmapInitialize((index), (blocks), NULL)
#define kv_brin_tuple(revmap, block, buffer, offset) \
	brinGetTupleForHeapBlock((revmap), (block), (buffer), (offset), NULL, BUFFER_LOCK_SHARE, NULL)
#define kv_index_insert_cleanup(index, info) ((void) 0)
#endif

/* 16 also replaced the privilege check of each catalog by one function. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_namespace.h"
#define kv_may_use_schema(schema, role) \
	(object_aclcheck(NamespaceRelationId, (schema), (role), ACL_USAGE) == ACLCHECK_OK)
#else
#define kv_may_use_schema(schema, role) \
	(pg_namespace_aclcheck((schema), (role), ACL_USAGE) == ACLCHECK_OK)
#endif

/* 16 has an allocator of its own for what settings keep. */
#if PG_VERSION_NUM >= 160000
#define kv_guc_malloc(size) guc_malloc(LOG, (size))
#define kv_guc_free(memory) guc_free(memory)
#else
#define kv_guc_malloc(size) malloc(size)
#define kv_guc_free(memory) free(memory)
#endif

/* 19 knows no other way than that of the standard. */
#if PG_VERSION_NUM >= 190000
#define kv_backslashes_escape() false
#else
#include "parser/parser.h"
#define kv_backslashes_escape() (!standard_conforming_strings)
#endif

/* 19 lets a hook only read it. */
#if PG_VERSION_NUM >= 190000
typedef const JumbleState KvJumbleState;
#else
typedef JumbleState KvJumbleState;
#endif

/* 18 runs a plan once or more without being told. */
#if PG_VERSION_NUM >= 180000
#define KV_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count
#define KV_EXECUTOR_RUN_ARGUMENTS query, direction, count
#else
#define KV_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define KV_EXECUTOR_RUN_ARGUMENTS query, direction, count, execute_once
#endif

/* 19 tells the planner what EXPLAIN was asked for. */
#if PG_VERSION_NUM >= 190000
#define KV_PLANNER_PARAMETERS \
	Query *query, const char *text, int options, ParamListInfo params, ExplainState *explain
#define KV_PLANNER_ARGUMENTS query, text, options, params, explain
#else
#define KV_PLANNER_PARAMETERS Query *query, const char *text, int options, ParamListInfo params
#define KV_PLANNER_ARGUMENTS query, text, options, params
#endif

/* 19 names a tranche of locks where it is made, and for all processes. */
static inline int
kv_new_tranche(const char *name)
{
#if PG_VERSION_NUM >= 190000
	return LWLockNewTrancheId(name);
#else
	int			tranche = LWLockNewTrancheId();

	LWLockRegisterTranche(tranche, name);
	return tranche;
#endif
}

/* 19 can end the workers of a database that is to be dropped, renamed or copied. */
#if PG_VERSION_NUM >= 190000
#define KV_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define KV_BGWORKER_INTERRUPTIBLE 0
#endif

#endif							/* KV_COMPAT_H */
