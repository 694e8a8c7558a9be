/*
 * secret_scan.c
 *		Scans the primary key of key_vault_data.secrets, backwards.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/skey.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "store/held_locks.h"
#include "store/policy.h"
#include "store/read_snapshot.h"
#include "store/secret_scan.h"
#include "store/secret_table.h"

#define KEYS 4					/* the primary key's columns, which are the table's first */
#define NAME_COLUMNS KV_SECRETS_USER_ID, KV_SECRETS_PROVIDER, KV_SECRETS_LABEL

/* By KvRangeKind.  version says how the last key compares. */
static const struct
{
	int			count;
	AttrNumber	columns[KEYS];
	StrategyNumber version;
}			shapes[] =
{
	[KV_RANGE_NAME] = {3, {NAME_COLUMNS}},
	[KV_RANGE_VERSION] = {4, {NAME_COLUMNS, KV_SECRETS_VERSION}, BTEqualStrategyNumber},
	[KV_RANGE_THROUGH_VERSION] = {4, {NAME_COLUMNS, KV_SECRETS_VERSION}, BTLessEqualStrategyNumber},
	[KV_RANGE_USER] = {1, {KV_SECRETS_USER_ID}},
	[KV_RANGE_USER_LABEL] = {2, {KV_SECRETS_USER_ID, KV_SECRETS_LABEL}}
};

/* The same as the index wants them, but for what they compare with. */
static ScanKeyData keys_of[lengthof(shapes)][KEYS];
static bool keys_are_ready = false;

static void
prepare_keys(void)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	for (int kind = 0; kind < (int) lengthof(shapes); kind++)
	{
		for (int i = 0; i < shapes[kind].count; i++)
		{
			AttrNumber	column = shapes[kind].columns[i];
			StrategyNumber strategy = shapes[kind].version;

			if (column != KV_SECRETS_VERSION)
				ScanKeyEntryInitialize(&keys_of[kind][i], 0, column, BTEqualStrategyNumber,
									   InvalidOid, C_COLLATION_OID, F_TEXTEQ, (Datum) 0);
			else
				ScanKeyEntryInitialize(&keys_of[kind][i], 0, column, strategy,
									   InvalidOid, InvalidOid,
									   strategy == BTEqualStrategyNumber ? F_INT4EQ : F_INT4LE,
									   (Datum) 0);
		}
	}
	MemoryContextSwitchTo(caller);
	keys_are_ready = true;
}

static Datum
argument_of(const KvRange *range, AttrNumber column)
{
	switch (column)
	{
		case KV_SECRETS_USER_ID:
			return PointerGetDatum(range->name.user_id);
		case KV_SECRETS_PROVIDER:
			return PointerGetDatum(range->name.provider);
		case KV_SECRETS_LABEL:
			return PointerGetDatum(range->name.label);
		default:
			return Int32GetDatum(range->version);
	}
}

/* The keys of a range; they are copied by index_rescan(), and then somebody else's. */
static ScanKey
keys_for(const KvRange *range)
{
	ScanKey		keys = keys_of[range->kind];

	if (!keys_are_ready)
		prepare_keys();
	for (int i = 0; i < shapes[range->kind].count; i++)
		keys[i].sk_argument = argument_of(range, shapes[range->kind].columns[i]);
	return keys;
}

/* Whether a row is worth a look in the table, by the version that the index has of it. */
typedef bool (*Pick) (int32 version, void *arg);

/* What is done with the rows of a range. */
typedef struct Work
{
	Pick		pick;			/* NULL: all are */
	KvVisit		visit;
	void	   *arg;			/* of both */
} Work;

static bool
is_picked(IndexScanDesc scan, const Work *work)
{
	bool		isnull;
	Datum		version;

	if (work->pick == NULL)
		return true;
	version = index_getattr(scan->xs_itup, KV_SECRETS_VERSION, scan->xs_itupdesc, &isnull);
	return work->pick(DatumGetInt32(version), work->arg);
}

/* The index's part of a scan allocates when it begins, and as it goes. */
static void
begin(IndexScanDesc scan, KvAccess *access, const KvRange *range, const Work *work)
{
	MemoryContext caller = MemoryContextSwitchTo(access->context);

	scan->xs_want_itup = work->pick != NULL;
	index_rescan(scan, keys_for(range), shapes[range->kind].count, NULL, 0);
	MemoryContextSwitchTo(caller);
}

static bool
next_row(IndexScanDesc scan, KvAccess *access, const Work *work)
{
	MemoryContext caller = MemoryContextSwitchTo(access->context);
	bool		found = false;

	while (!found && index_getnext_tid(scan, BackwardScanDirection) != NULL)
		found = is_picked(scan, work) && index_fetch_heap(scan, access->slot);
	MemoryContextSwitchTo(caller);
	return found;
}

/* Whether the scan goes on in memory that is kept from the one before. */
static bool
is_kept(Relation rel, const KvRange *range)
{
	return range->kind == KV_RANGE_NAME && kv_kept_scan_serves(rel);
}

/* To have the index's tuples it needs more memory, and copies each from then on. */
static KvKeptScan *
kept_for(KvAccess *access, const Work *work)
{
	return work->pick != NULL ? &access->scan_of_versions : &access->scan_of_name;
}

static void
scan_rows(KvAccess *access, Relation rel, const KvRange *range, Snapshot active,
		  const Work *work)
{
	Relation	index = kv_index_open_to_read(kv_primary_key_index(rel));
	int			nkeys = shapes[range->kind].count;
	bool		kept = is_kept(rel, range);
	IndexScanDesc scan;

	if (kept)
		scan = kv_kept_scan_begin(kept_for(access, work), access->context, rel, index, active, nkeys);
	else
		scan = kv_index_beginscan(rel, index, active, nkeys);
	begin(scan, access, range, work);
	while (next_row(scan, access, work))
	{
		CHECK_FOR_INTERRUPTS();
		if (!work->visit(access->slot, work->arg))
			break;
	}
	ExecClearTuple(access->slot);
	if (kept)
		kv_kept_scan_end(kept_for(access, work));
	else
		index_endscan(scan);
	/* the lock stays to the end of the transaction, as the executor's would */
	index_close(index, NoLock);
}

void
kv_scan(KvAccess *access, Relation rel, const KvRange *range, KvVisit visit, void *arg)
{
	KvReadSnapshot reading = kv_read_snapshot_begin();

	scan_rows(access, rel, range, reading.snapshot, &(Work){.visit = visit, .arg = arg});
	kv_read_snapshot_end(&reading);
}

/* With a snapshot that its caller took. */
static void
scan_with(Snapshot snapshot, KvAccess *access, Relation rel, const KvRange *range, const Work *work)
{
	PushActiveSnapshot(snapshot);
	scan_rows(access, rel, range, GetActiveSnapshot(), work);
	PopActiveSnapshot();
}

/* For those rows that the policy (or NULL) admits. */
typedef struct Reading
{
	const KvRange *range;
	KvColumns	columns;
	KvPolicy   *policy;
	KvVisit		visit;
	void	   *arg;
} Reading;

static bool
show_admitted(TupleTableSlot *slot, void *arg)
{
	Reading    *reading = arg;

	/* at once: the policy, and who is shown the row, would each start over for theirs */
	slot_getsomeattrs(slot, KV_SECRETS_ATTRIBUTES);
	if (reading->policy != NULL && !kv_policy_admits(reading->policy, slot))
		return true;
	return reading->visit(slot, reading->arg);
}

static void
read_as_caller(KvAccess *access, Relation rel, void *arg)
{
	Reading    *reading = arg;

	kv_access_check_rights(access, reading->columns);
	reading->policy = kv_access_read_policy(access, rel);
	kv_scan(access, rel, reading->range, show_admitted, reading);
}

bool
kv_scan_as_caller(const KvRange *range, KvColumns columns, KvVisit visit, void *arg)
{
	Reading		reading = {.range = range, .columns = columns, .visit = visit, .arg = arg};

	return kv_access_go_straight(AccessShareLock, read_as_caller, &reading);
}

/* For the highest version of a name. */
typedef struct Probe
{
	KvRange		range;
	int32		version;
	bool		found;
} Probe;

static bool
take_version(TupleTableSlot *slot, void *arg)
{
	Probe	   *probe = arg;
	bool		isnull;

	probe->version = DatumGetInt32(slot_getattr(slot, KV_SECRETS_VERSION, &isnull));
	probe->found = true;
	return false;
}

static void
find_highest(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	kv_scan(access, rel, &probe->range, take_version, probe);
}

static void
find_latest(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	scan_with(GetLatestSnapshot(), access, rel, &probe->range,
			  &(Work){.visit = take_version, .arg = probe});
}

static KvStraight
find_version(KvStraightWork find, const KvSecretName *name, int32 *version)
{
	Probe		probe = {.range = {.kind = KV_RANGE_NAME, .name = *name}};

	if (!kv_access_go_straight(AccessShareLock, find, &probe))
		return KV_STRAIGHT_IMPOSSIBLE;
	*version = probe.version;
	return probe.found ? KV_STRAIGHT_FOUND : KV_STRAIGHT_NONE;
}

KvStraight
kv_scan_highest(const KvSecretName *name, int32 *version)
{
	return find_version(find_highest, name, version);
}

KvStraight
kv_scan_latest(const KvSecretName *name, int32 *version)
{
	return find_version(find_latest, name, version);
}

/* For what a set wants to know. */
typedef struct Looking
{
	KvRange		range;
	int32		keep;			/* versions below the highest, one less than after the set */
	KvPolicy   *policy;
	KvSecretLook *look;
} Looking;

/* Of those below the highest, what is in the table of the ones that stay is not asked for. */
static bool
is_highest_or_old(int32 version, void *arg)
{
	const Looking *looking = arg;

	return looking->look->highest == 0 ||
		version <= looking->look->highest - looking->keep;
}

/* The rows come newest first. */
static bool
note_version(TupleTableSlot *slot, void *arg)
{
	Looking    *looking = arg;
	KvSecretLook *look = looking->look;
	bool		isnull;
	int32		version = DatumGetInt32(slot_getattr(slot, KV_SECRETS_VERSION, &isnull));

	if (look->highest == 0)
	{
		look->highest = version;
		if (looking->keep > 0)
			return true;
	}
	if (look->old_count == KV_SEEN_MAX ||
		(looking->policy != NULL && !kv_policy_admits(looking->policy, slot)))
	{
		look->ended = 0;
		return false;
	}
	look->old[look->old_count++] = slot->tts_tid;
	return true;
}

static void
look_at_versions(KvAccess *access, Relation rel, void *arg)
{
	Looking    *looking = arg;
	Snapshot	snapshot = GetTransactionSnapshot();

	looking->policy = kv_access_policy(access, rel, KV_POLICY_DELETE);
	looking->look->command = GetCurrentCommandId(false);
	/* an older snapshot does not show who overtakes */
	if (!IsolationUsesXactSnapshot())
		looking->look->ended = snapshot->snapXactCompletionCount;
	scan_with(snapshot, access, rel, &looking->range,
			  &(Work){is_highest_or_old, note_version, looking});
}

bool
kv_scan_look(const KvSecretName *name, int32 keep, KvSecretLook *look)
{
	Looking		looking = {{.kind = KV_RANGE_NAME, .name = *name}, keep, NULL, look};

	return kv_access_go_straight(NoLock, look_at_versions, &looking);
}
