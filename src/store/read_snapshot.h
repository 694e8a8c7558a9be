/*
 * read_snapshot.h
 *		The snapshot of a reading that begins now.
 */
#ifndef KV_READ_SNAPSHOT_H
#define KV_READ_SNAPSHOT_H

#include "utils/snapshot.h"

/* Made active, if it was not. */
typedef struct KvReadSnapshot
{
	Snapshot	snapshot;
	bool		is_pushed;
} KvReadSnapshot;

/*
 * As PushActiveSnapshot(GetTransactionSnapshot()), but where the active snapshot shows the
 * same, that one serves.  Needs a transaction; after an error, its end pops what was pushed.
 */
extern KvReadSnapshot kv_read_snapshot_begin(void);
extern void kv_read_snapshot_end(const KvReadSnapshot *reading);

#endif							/* KV_READ_SNAPSHOT_H */
