/*
 * secret_changes.c
 *		Inserts and trims versions without a planner or an executor: to start
 *		one costs more than to do the work.
 *
 * What an INSERT runs for a row is run here too: constraints, defaults, every
 * index that the row is in, and the table's policy.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/locks.h"
#include "store/privileges.h"
#include "store/secret_access.h"
#include "store/secret_changes.h"
#include "store/secret_checks.h"
#include "store/secret_indexes.h"
#include "store/secret_scan.h"
#include "store/secret_table.h"

static void
fill_slot(KvRowChecks *checks, Relation rel, const KvSecretName *name,
		  const KvSecretRow *row, EState *estate)
{
	TupleTableSlot *slot = ExecClearTuple(checks->slot);
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
	values[KV_SECRETS_ATTRIBUTES] = PointerGetDatum(row->attributes);
	nulls[KV_SECRETS_ATTRIBUTES] = row->attributes == NULL;
	nulls[KV_SECRETS_CREATED_AT] = checks->created_at == NULL;
	if (checks->created_at != NULL)
		values[KV_SECRETS_CREATED_AT] =
			ExecEvalExprSwitchContext(checks->created_at,
									  GetPerTupleExprContext(estate),
									  &nulls[KV_SECRETS_CREATED_AT]);
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(rel);
}

static uint32
hash_of(const KvSecretName *name)
{
	const text *parts[] = {name->user_id, name->provider, name->label};
	uint32		hash = 0;

	for (int i = 0; i < (int) lengthof(parts); i++)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) VARDATA_ANY(parts[i]),
											 VARSIZE_ANY_EXHDR(parts[i])));
	return hash;
}

/*
 * The same as INSERT does.  A row that turns out to be of a version that is taken stays
 * behind dead, and until the transaction ends others wait for it as for one that lives:
 * two such would wait for each other, were it not that only one transaction at a time
 * may do this for a secret.
 */
static bool
put_row_plainly(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
	Relation	rel = target->ri_RelationDesc;
	bool		conflict = false;
	TM_FailureData failure;

	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	kv_insert_index_tuples(target, slot, estate, &conflict);
	if (!conflict)
		return true;
	CommandCounterIncrement();
	if (kv_table_tuple_delete(rel, &slot->tts_tid, GetCurrentCommandId(true),
							  GetActiveSnapshot(), &failure) != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the row of a version that is taken is not there")));
	return false;
}

/*
 * Puts the row into the table and its indexes, as INSERT ... ON CONFLICT does; false,
 * and nothing there, when the version is taken.
 */
static bool
put_row_speculatively(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
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

/*
 * What is prepared for an index of some rows only is the executor state's, and goes with
 * it; what is prepared for the primary key stays.
 */
static EState *
open_indexes(ResultRelInfo *target, KvAccess *access, KvRowChecks *checks, bool has_expiry)
{
	if (has_expiry)
	{
		ExecOpenIndices(target, false);
		return CreateExecutorState();
	}
	kv_secret_indexes_open_primary_key(target, &checks->primary_key, access->context);
	return checks->estate;
}

static void
close_indexes(ResultRelInfo *target, KvRowChecks *checks, EState *estate)
{
	if (estate != checks->estate)
	{
		ExecCloseIndices(target);
		FreeExecutorState(estate);
		return;
	}
	kv_secret_indexes_close_primary_key(target);
	ResetPerTupleExprContext(estate);
}

static void
insert_row(KvAccess *access, Relation rel, void *arg)
{
	Insert	   *insert = arg;
	KvPolicy   *policy = kv_access_policy(access, rel, KV_POLICY_INSERT);
	KvRowChecks *checks = kv_row_checks(access, rel);
	EState	   *estate;
	ResultRelInfo *target;

	if (checks == NULL)
		return;

	target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, rel, 0, NULL, 0);
	target->ri_CheckConstraintExprs = checks->constraints;
	estate = open_indexes(target, access, checks, insert->row->has_expiry);

	fill_slot(checks, rel, insert->name, insert->row, estate);
	ExecConstraints(target, checks->slot, estate);
	if (policy != NULL && !kv_policy_admits(policy, checks->slot))
		kv_secret_table_refuse(rel);
	insert->done = kv_lock_part_if_free(hash_of(insert->name)) ?
		put_row_plainly(target, checks->slot, estate) :
		put_row_speculatively(target, checks->slot, estate);

	ExecClearTuple(checks->slot);
	close_indexes(target, checks, estate);
}

bool
kv_secret_insert_straight(const KvSecretName *name, const KvSecretRow *row)
{
	Insert		insert = {.name = name, .row = row};

	PreventCommandIfReadOnly("INSERT");
	PreventCommandIfParallelMode("INSERT");
	if (kv_privileges_are_watched() ||
		!kv_access_go_straight(NoLock, insert_row, &insert))
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
	Snapshot	snapshot;		/* which shows that nothing has changed */
	bool		met_change;
} Seen;

/* The policy was run when they were seen. */
static void
remove_seen(KvAccess *access, Relation rel, void *arg)
{
	Seen	   *seen = arg;
	TM_FailureData failure;

	CheckCmdReplicaIdentity(rel, CMD_DELETE);
	for (int i = 0; i < seen->look->old_count && !seen->met_change; i++)
	{
		ItemPointerData place = seen->look->old[i];

		seen->met_change = kv_table_tuple_delete(rel, &place, GetCurrentCommandId(true),
												 seen->snapshot, &failure) != TM_Ok;
	}
}

/*
 * A snapshot counts the transactions that have ended and wrote something.  This one's
 * own commands are counted as well, for a policy may call functions that write.
 */
static bool
nothing_has_changed_since(const KvSecretLook *look, Snapshot *now)
{
	if (look->ended == 0)
		return false;
	*now = GetTransactionSnapshot();
	return (*now)->snapXactCompletionCount == look->ended &&
		GetCurrentCommandId(false) == look->command + 1;
}

bool
kv_secret_settle_as_seen(const KvSecretLook *look)
{
	Seen		seen = {.look = look};

	if (kv_privileges_are_watched() || !nothing_has_changed_since(look, &seen.snapshot))
		return false;
	if (look->old_count == 0)
		return true;
	if (!kv_access_go_straight(NoLock, remove_seen, &seen))
		return false;
	CommandCounterIncrement();
	return !seen.met_change;
}
