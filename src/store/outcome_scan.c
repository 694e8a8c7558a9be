/*
 * outcome_scan.c
 *		Scans the primary key of key_vault_data.outcomes for one secret.
 *
 * The caller may not name the table: like the planner's way, it is read past its policies, for
 * a user whose identity was checked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/held_locks.h"
#include "store/kept_scan.h"
#include "store/outcome_scan.h"
#include "store/read_snapshot.h"
#include "store/watched_table.h"

/* Columns, in the order of the install script; the first four are the primary key's. */
#define USER_ID 1
#define PROVIDER 2
#define LABEL 3
#define VERSION 5
#define SET_AT 6
#define OUTCOME 7
#define RECORDED_AT 8
#define NAME_COLUMNS 3

static KvWatchedTable outcomes = {.name = "outcomes"};

/* kv_xact_completion_count() before the table was seen to have no page; 0: never */
static uint64 seen_empty = 0;

/* What scans work with, kept from one to the next. */
static struct
{
	MemoryContext context;		/* has the rest, and is NULL before the first scan */
	TupleTableSlot *slot;
	KvKeptScan	scan;
	ScanKeyData keys[NAME_COLUMNS];
	uint64		changes;		/* of the table, before it was opened to make the rest; 0: never */
	bool		in_use;			/* or left by an error, with buffers that are no longer pinned */
}			work;

void
kv_outcome_scan_init(void)
{
	kv_watch_table(&outcomes);
}

/*
 * Most databases record no outcomes, and to open the table and ask for its size costs each
 * lookup a lock and a system call.  What was written since then can be seen once the transaction
 * that wrote it has ended, or by that transaction itself, which has an xid.
 */
static bool
is_known_to_be_empty(uint64 ended)
{
	return seen_empty == ended && !TransactionIdIsValid(GetTopTransactionIdIfAny());
}

static bool
is_as_shipped(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		!rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass &&
		!rel->rd_rel->relforcerowsecurity &&
		rel->rd_rules == NULL &&
		rel->trigdesc == NULL &&
		RelationGetDescr(rel)->natts >= RECORDED_AT;
}

static bool
is_usable(Relation index)
{
	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		index->rd_index->indnkeyatts < NAME_COLUMNS)
		return false;
	for (int i = 0; i < NAME_COLUMNS; i++)
	{
		if (index->rd_index->indkey.values[i] != i + 1 || index->rd_indcollation[i] != C_COLLATION_OID)
			return false;
	}
	return true;
}

static bool
is_of_version(TupleTableSlot *slot, const KvSecretRow *row)
{
	bool		isnull;

	return DatumGetInt32(slot_getattr(slot, VERSION, &isnull)) == row->version &&
		DatumGetTimestampTz(slot_getattr(slot, SET_AT, &isnull)) == row->created_at;
}

/* The index's part of a scan allocates as it goes. */
static bool
next_row(IndexScanDesc scan)
{
	MemoryContext caller = MemoryContextSwitchTo(work.context);
	bool		found = index_getnext_slot(scan, ForwardScanDirection, work.slot);

	MemoryContextSwitchTo(caller);
	return found;
}

/* The latest of those of the version. */
static void
take_latest(IndexScanDesc scan, const KvSecretRow *row, text **outcome, TimestampTz *recorded_at)
{
	TupleTableSlot *slot = work.slot;
	bool		isnull;

	while (next_row(scan))
	{
		TimestampTz at = DatumGetTimestampTz(slot_getattr(slot, RECORDED_AT, &isnull));

		if (!is_of_version(slot, row) || (*outcome != NULL && at <= *recorded_at))
			continue;
		*outcome = DatumGetTextPCopy(slot_getattr(slot, OUTCOME, &isnull));
		*recorded_at = at;
	}
}

static void
make_work(Relation rel, uint64 changes)
{
	MemoryContext caller;

	if (work.context != NULL)
		MemoryContextDelete(work.context);
	memset(&work, 0, sizeof(work));
	work.context = AllocSetContextCreate(TopMemoryContext, "key_vault outcomes", ALLOCSET_SMALL_SIZES);
	work.changes = changes;
	caller = MemoryContextSwitchTo(work.context);
	work.slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
										 table_slot_callbacks(rel));
	for (int i = 0; i < NAME_COLUMNS; i++)
		ScanKeyEntryInitialize(&work.keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, (Datum) 0);
	MemoryContextSwitchTo(caller);
}

static IndexScanDesc
begin(Relation rel, Relation index, Snapshot snapshot)
{
	MemoryContext caller = MemoryContextSwitchTo(work.context);
	IndexScanDesc scan = kv_kept_scan_serves(rel) ?
		kv_kept_scan_begin(&work.scan, work.context, rel, index, snapshot, NAME_COLUMNS) :
		kv_index_beginscan(rel, index, snapshot, NAME_COLUMNS);

	index_rescan(scan, work.keys, NAME_COLUMNS, NULL, 0);
	MemoryContextSwitchTo(caller);
	return scan;
}

static void
end(Relation rel, IndexScanDesc scan)
{
	ExecClearTuple(work.slot);
	if (kv_kept_scan_serves(rel))
		kv_kept_scan_end(&work.scan);
	else
		index_endscan(scan);
}

static void
scan_name(Relation rel, Relation index, uint64 changes, const KvSecretName *name,
		  const KvSecretRow *row, text **outcome, TimestampTz *recorded_at)
{
	KvReadSnapshot reading;
	IndexScanDesc scan;

	if (work.changes != changes || work.in_use)
		make_work(rel, changes);
	work.in_use = true;
	work.keys[0].sk_argument = PointerGetDatum(name->user_id);
	work.keys[1].sk_argument = PointerGetDatum(name->provider);
	work.keys[2].sk_argument = PointerGetDatum(name->label);
	reading = kv_read_snapshot_begin();
	scan = begin(rel, index, reading.snapshot);
	take_latest(scan, row, outcome, recorded_at);
	end(rel, scan);
	kv_read_snapshot_end(&reading);
	work.in_use = false;
}

bool
kv_outcome_scan_last(const KvSecretName *name, const KvSecretRow *row, text **outcome,
					 TimestampTz *recorded_at)
{
	uint64		ended = kv_xact_completion_count();
	uint64		changes = kv_watched_table_changes(&outcomes);
	Oid			oid;
	Relation	rel;
	Relation	index;
	bool		usable;

	*outcome = NULL;
	if (is_known_to_be_empty(ended))
		return true;
	oid = kv_watched_table_oid(&outcomes);
	if (!OidIsValid(oid))
		return false;
	rel = kv_table_open_to_read(oid);
	usable = is_as_shipped(rel) && OidIsValid(kv_primary_key_index(rel));
	if (usable && RelationGetNumberOfBlocks(rel) == 0)
		seen_empty = ended;
	else if (usable)
	{
		index = kv_index_open_to_read(kv_primary_key_index(rel));
		usable = is_usable(index);
		if (usable)
			scan_name(rel, index, changes, name, row, outcome, recorded_at);
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	return usable;
}
