/*
 * secret_changes.c
 *		Inserts and trims versions without a planner or an executor: to start
 *		one costs more than to do the work, not least because it reads the
 *		table's CHECK constraints anew, from their text.
 *
 * What an INSERT runs for a row is run here too: constraints, defaults, every
 * index that the row is in, and the table's policy.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/privileges.h"
#include "store/secret_access.h"
#include "store/secret_changes.h"
#include "store/secret_indexes.h"
#include "store/secret_scan.h"
#include "store/secret_table.h"

/* What an INSERT needs of the table, prepared. */
typedef struct KvInsertion
{
	bool		possible;
	ExprState **checks;			/* in the order of the table's descriptor */
	ExprState  *created_at;		/* its default, or NULL */
	TupleTableSlot *slot;
} KvInsertion;

static bool
is_foreign(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Another's function is for the owner to run, and may come back here meanwhile. */
static bool
calls_foreign_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_foreign, context) ||
		expression_tree_walker(node, calls_foreign_function, context);
}

/* False when there is one that calls a foreign function. */
static bool
prepare_checks(KvInsertion *new, const TupleConstr *constraints, EState *estate)
{
	new->checks = palloc0(sizeof(ExprState *) * Max(constraints->num_check, 1));
	for (int i = 0; i < constraints->num_check; i++)
	{
		Node	   *expression;

		if (!kv_check_is_enforced(&constraints->check[i]))
			continue;
		expression = stringToNode(constraints->check[i].ccbin);
		if (calls_foreign_function(expression, NULL))
			return false;
		new->checks[i] = ExecPrepareExpr((Expr *) expression, estate);
	}
	return true;
}

/* False when it calls a foreign function. */
static bool
prepare_created_at(KvInsertion *new, Relation rel, EState *estate)
{
	Node	   *expression = build_column_default(rel, KV_SECRETS_CREATED_AT);

	if (expression != NULL && calls_foreign_function(expression, NULL))
		return false;
	if (expression != NULL)
		new->created_at = ExecPrepareExpr((Expr *) expression, estate);
	return true;
}

/* Whether the table has our columns only. */
static bool
has_our_columns(Relation rel)
{
	TupleDesc	columns = RelationGetDescr(rel);
	bool		nothing_else = columns->natts == KV_SECRETS_COLUMNS &&
		columns->constr != NULL;

	for (int i = 0; nothing_else && i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		nothing_else = !column->attisdropped && column->attgenerated == '\0';
	}
	return nothing_else;
}

static KvInsertion *
prepare(KvAccess *access, Relation rel)
{
	MemoryContext caller = MemoryContextSwitchTo(access->context);
	KvInsertion *new = palloc0(sizeof(KvInsertion));
	EState	   *estate = CreateExecutorState();

	new->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
										 &TTSOpsVirtual);
	new->possible = has_our_columns(rel) && kv_secret_indexes_are_ours(rel) &&
		prepare_checks(new, RelationGetDescr(rel)->constr, estate) &&
		prepare_created_at(new, rel, estate);
	MemoryContextSwitchTo(caller);
	return new;
}

static void
fill_slot(KvInsertion *insertion, Relation rel, const KvSecretName *name,
		  const KvSecretRow *row, EState *estate)
{
	TupleTableSlot *slot = ExecClearTuple(insertion->slot);
	Datum	   *values = slot->tts_values - 1;
	bool	   *nulls = slot->tts_isnull - 1;

	memset(slot->tts_isnull, false, KV_SECRETS_COLUMNS);
	values[KV_SECRETS_USER_ID] = PointerGetDatum(name->user_id);
	values[KV_SECRETS_PROVIDER] = PointerGetDatum(name->provider);
	values[KV_SECRETS_LABEL] = PointerGetDatum(name->label);
	values[KV_SECRETS_VERSION] = Int32GetDatum(row->version);
	values[KV_SECRETS_ROOT_KEY_ID] = CStringGetTextDatum(row->root_key_id);
	values[KV_SECRETS_SEALED] = PointerGetDatum(row->sealed);
	values[KV_SECRETS_HINT] = PointerGetDatum(row->hint);
	nulls[KV_SECRETS_HINT] = row->hint == NULL;
	values[KV_SECRETS_EXPIRES_AT] = TimestampTzGetDatum(row->expires_at);
	nulls[KV_SECRETS_EXPIRES_AT] = !row->has_expiry;
	nulls[KV_SECRETS_CREATED_AT] = insertion->created_at == NULL;
	if (insertion->created_at != NULL)
		values[KV_SECRETS_CREATED_AT] =
			ExecEvalExprSwitchContext(insertion->created_at,
									  GetPerTupleExprContext(estate),
									  &nulls[KV_SECRETS_CREATED_AT]);
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(rel);
}

/*
 * Puts the row into the table and its indexes, as INSERT ... ON CONFLICT does; false,
 * and nothing there, when the version is taken.
 */
static bool
put_row(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
	TransactionId transaction = GetCurrentTransactionId();
	bool		conflict = false;
	uint32		token;

	token = SpeculativeInsertionLockAcquire(transaction);
	table_tuple_insert_speculative(target->ri_RelationDesc, slot,
								   GetCurrentCommandId(true), 0, NULL, token);
	kv_insert_index_tuples(target, slot, estate, &conflict);
	table_tuple_complete_speculative(target->ri_RelationDesc, slot, token, !conflict);
	SpeculativeInsertionLockRelease(transaction);
	return !conflict;
}

typedef struct Insert
{
	const KvSecretName *name;
	const KvSecretRow *row;
	bool		done;
} Insert;

static void
insert_row(KvAccess *access, Relation rel, void *arg)
{
	Insert	   *insert = arg;
	KvPolicy   *policy = kv_access_policy(access, rel, KV_POLICY_INSERT);
	KvInsertion *insertion;
	EState	   *estate;
	ResultRelInfo *target;

	if (access->insertion == NULL)
		access->insertion = prepare(access, rel);
	insertion = access->insertion;
	if (!insertion->possible)
		return;

	estate = CreateExecutorState();
	target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, rel, 0, NULL, 0);
	target->ri_CheckConstraintExprs = insertion->checks;
	if (insert->row->has_expiry)
		ExecOpenIndices(target, false);
	else
		kv_secret_indexes_open_primary_key(target);

	fill_slot(insertion, rel, insert->name, insert->row, estate);
	ExecConstraints(target, insertion->slot, estate);
	if (policy != NULL && !kv_policy_admits(policy, insertion->slot))
		kv_secret_table_refuse(rel);
	insert->done = put_row(target, insertion->slot, estate);

	ExecClearTuple(insertion->slot);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
}

bool
kv_secret_insert_straight(const KvSecretName *name, const KvSecretRow *row)
{
	Insert		insert = {.name = name, .row = row};

	PreventCommandIfReadOnly("INSERT");
	PreventCommandIfParallelMode("INSERT");
	if (kv_privileges_are_watched() ||
		!kv_access_go_straight(RowExclusiveLock, insert_row, &insert))
		return false;
	CommandCounterIncrement();
	return insert.done;
}

typedef struct Trim
{
	const KvSecretName *name;
	int32		version;		/* the last one to remove */
	int32		stored;			/* nothing is removed when there is a newer one */
	bool		overtaken;
	Relation	rel;
	KvPolicy   *policy;
	bool		met_change;
} Trim;

/* Removes the row, unless somebody changed it meanwhile. */
static bool
remove_row(TupleTableSlot *slot, void *arg)
{
	Trim	   *trim = arg;
	TM_FailureData failure;

	if (trim->policy != NULL && !kv_policy_admits(trim->policy, slot))
		kv_secret_table_refuse(trim->rel);
	trim->met_change = kv_table_tuple_delete(trim->rel, &slot->tts_tid,
											 GetCurrentCommandId(true),
											 GetActiveSnapshot(), &failure) != TM_Ok;
	return !trim->met_change;
}

/* The rows come newest first. */
static bool
remove_old_row(TupleTableSlot *slot, void *arg)
{
	Trim	   *trim = arg;
	bool		isnull;
	int32		version = DatumGetInt32(slot_getattr(slot, KV_SECRETS_VERSION, &isnull));

	trim->overtaken = version > trim->stored;
	if (trim->overtaken)
		return false;
	return version > trim->version || remove_row(slot, arg);
}

static void
prepare_removal(KvAccess *access, Relation rel, Trim *trim)
{
	CheckCmdReplicaIdentity(rel, CMD_DELETE);
	trim->rel = rel;
	trim->policy = kv_access_policy(access, rel, KV_POLICY_DELETE);
}

static void
trim_rows(KvAccess *access, Relation rel, void *arg)
{
	Trim	   *trim = arg;
	KvRange		range = {KV_RANGE_THROUGH_VERSION, *trim->name, trim->version};

	prepare_removal(access, rel, trim);
	kv_scan(access, rel, &range, remove_row, trim);
}

static void
trim_unless_overtaken(KvAccess *access, Relation rel, void *arg)
{
	Trim	   *trim = arg;
	KvRange		range = {.kind = KV_RANGE_NAME, .name = *trim->name};

	prepare_removal(access, rel, trim);
	kv_scan(access, rel, &range, remove_old_row, trim);
}

static bool
remove_straight(KvStraightWork remove, Trim *trim)
{
	PreventCommandIfReadOnly("DELETE");
	PreventCommandIfParallelMode("DELETE");
	if (kv_privileges_are_watched() ||
		!kv_access_go_straight(RowExclusiveLock, remove, trim))
		return false;
	CommandCounterIncrement();
	return !trim->met_change;
}

bool
kv_secret_trim_straight(const KvSecretName *name, int32 version)
{
	Trim		trim = {.name = name, .version = version};

	return remove_straight(trim_rows, &trim);
}

bool
kv_secret_settle_straight(const KvSecretName *name, int32 stored, int32 version,
						  bool *overtaken)
{
	Trim		trim = {.name = name, .version = version, .stored = stored};
	bool		done;

	/* an older snapshot does not show who overtook */
	if (IsolationUsesXactSnapshot())
		return false;
	done = remove_straight(trim_unless_overtaken, &trim);
	*overtaken = trim.overtaken;
	return done;
}

typedef struct Seen
{
	const KvSecretLook *look;
	bool		met_change;
} Seen;

/* The policy was run when they were seen. */
static void
remove_seen(KvAccess *access, Relation rel, void *arg)
{
	Seen	   *seen = arg;
	Snapshot	snapshot = GetTransactionSnapshot();
	TM_FailureData failure;

	CheckCmdReplicaIdentity(rel, CMD_DELETE);
	for (int i = 0; i < seen->look->old_count && !seen->met_change; i++)
	{
		ItemPointerData place = seen->look->old[i];

		seen->met_change = kv_table_tuple_delete(rel, &place, GetCurrentCommandId(true),
												 snapshot, &failure) != TM_Ok;
	}
}

/*
 * A snapshot counts the transactions that have ended and wrote something.  This one's
 * own commands are counted as well, for a policy may call functions that write.
 */
static bool
nothing_has_changed_since(const KvSecretLook *look)
{
	return look->ended != 0 &&
		GetTransactionSnapshot()->snapXactCompletionCount == look->ended &&
		GetCurrentCommandId(false) == look->command + 1;
}

bool
kv_secret_settle_as_seen(const KvSecretLook *look)
{
	Seen		seen = {look, false};

	if (kv_privileges_are_watched() || !nothing_has_changed_since(look))
		return false;
	if (look->old_count == 0)
		return true;
	if (!kv_access_go_straight(RowExclusiveLock, remove_seen, &seen))
		return false;
	CommandCounterIncrement();
	return !seen.met_change;
}
