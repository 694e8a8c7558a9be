/*
 * kept_scan.c
 *		Makes a scan of a B-tree serve again.
 *
 * A scan's descriptor points to the two relations, which the relation cache may have
 * built anew at other addresses since, and to a snapshot.  All three are put in at the
 * beginning of each use; the rest of it is work space.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
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

/* As a scan that starts over does; most have let go of the index's already. */
static void
let_go_of_buffers(IndexScanDesc scan)
{
	BTScanOpaque btree = (BTScanOpaque) scan->opaque;

	if (BTScanPosIsPinned(btree->currPos) || btree->numKilled > 0)
		index_rescan(scan, NULL, scan->numberOfKeys, NULL, 0);
	else
		table_index_fetch_reset(scan->xs_heapfetch);
}

void
kv_kept_scan_end(KvKeptScan *kept)
{
	IndexScanDesc scan = kept->scan;

	let_go_of_buffers(scan);
	scan->heapRelation = NULL;
	scan->xs_heapfetch->rel = NULL;
	scan->indexRelation = NULL;
	scan->xs_itupdesc = NULL;
	scan->xs_snapshot = NULL;
}
