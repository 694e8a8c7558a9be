/*
 * kept_scan.h
 *		An index scan whose memory serves again and again: to begin and end one costs a
 *		sixth of a lookup.
 *
 * Between two uses it holds memory and nothing else: no relation, no lock, no buffer,
 * no snapshot.  So nobody has to end it, and whatever happens to the table meanwhile
 * happens to a table that nobody reads.
 */
#ifndef KV_KEPT_SCAN_H
#define KV_KEPT_SCAN_H

#include "access/genam.h"

/* All zero before the first use.  It goes with the memory context that it is made in. */
typedef struct KvKeptScan
{
	IndexScanDesc scan;			/* NULL: none yet */
} KvKeptScan;

/* Whether scans of this table can be kept. */
extern bool kv_kept_scan_serves(Relation rel);

/*
 * Starts a use: as index_beginscan(), with the number of keys that every use of it has.
 * What is made is made in context, in which index_getnext_slot() has to be called, too.
 */
extern IndexScanDesc kv_kept_scan_begin(KvKeptScan *kept, MemoryContext context,
										Relation rel, Relation index,
										Snapshot snapshot, int nkeys);

/* Ends a use.  After an error it is not called, and the memory has to go instead. */
extern void kv_kept_scan_end(KvKeptScan *kept);

#endif							/* KV_KEPT_SCAN_H */
