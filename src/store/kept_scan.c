/*
 * kept_scan.c
 *		Makes a scan of an index serve again.
 *
 * A scan's descriptor points to the two relations, which the relation cache may have
 * built anew at other addresses since, and to a snapshot.  All three are put in at the
 * beginning of each use; the rest of it is work space.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "store/kept_scan.h"

/* What a table access method of somebody else's keeps for a scan is not known. */
bool
kv_kept_scan_serves(Relation rel)
{
	return KV_INDEX_SCANS_ARE_KNOWN && rel->rd_tableam == GetHeapamTableAmRoutine();
}

static IndexScanDesc
make(MemoryContext context, Relation rel, Relation index, Snapshot snapshot, int nkeys)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	IndexScanDesc scan = kv_index_beginscan(rel, index, snapshot, nkeys);

	/* for index_endscan(), which will not be called */
	RelationDecrementReferenceCount(index);
	MemoryContextSwitchTo(caller);
	return scan;
}

static void
put_in(IndexScanDesc scan, Relation rel, Relation index, Snapshot snapshot)
{
	scan->heapRelation = rel;
	scan->xs_heapfetch->rel = rel;
	scan->indexRelation = index;
	scan->xs_itupdesc = RelationGetDescr(index);
	scan->xs_snapshot = snapshot;
	scan->xactStartedInRecovery = TransactionStartedDuringRecovery();
	scan->ignore_killed_tuples = !scan->xactStartedInRecovery;
	scan->kill_prior_tuple = false;
	scan->xs_heap_continue = false;
}

IndexScanDesc
kv_kept_scan_begin(KvKeptScan *kept, MemoryContext context, Relation rel, Relation index,
				   Snapshot snapshot, int nkeys)
{
	if (kept->scan == NULL)
		kept->scan = make(context, rel, index, snapshot, nkeys);
	else
		put_in(kept->scan, rel, index, snapshot);
	Assert(kept->scan->numberOfKeys == nkeys);
	return kept->scan;
}

void
kv_kept_scan_end(KvKeptScan *kept)
{
	IndexScanDesc scan = kept->scan;

	/* lets go of the buffers, as a scan that starts over does */
	index_rescan(scan, NULL, scan->numberOfKeys, NULL, 0);
	scan->heapRelation = NULL;
	scan->xs_heapfetch->rel = NULL;
	scan->indexRelation = NULL;
	scan->xs_itupdesc = NULL;
	scan->xs_snapshot = NULL;
}
