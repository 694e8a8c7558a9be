/*
 * read_snapshot.c
 *		The snapshot of a reading that begins now: a new one, or the active one if nothing
 *		has happened since.
 *
 * Each call of a volatile function sees what is committed by then.  A snapshot for each costs a
 * statement that makes many calls a lock that all sessions share, and a copy, which show it
 * what it has already: snapshots differ only once a transaction that wrote something has ended,
 * of which the server counts, or once a command of this one has.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "store/read_snapshot.h"

/* What the last new snapshot showed; ended is how many had. */
static struct
{
	uint64		ended;
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	bool		suboverflowed;
	bool		takenDuringRecovery;
}			last;

/*
 * Of snapshots up to one xmax, the later has fewer transactions that run: if it has as many, they
 * are the same.  So it need not be known which snapshot the active one was made of.
 */
static bool
shows_the_same(Snapshot active)
{
	return active->snapshot_type == SNAPSHOT_MVCC &&
		active->xmax == last.xmax && active->xmin == last.xmin &&
		active->xcnt == last.xcnt && active->subxcnt == last.subxcnt &&
		active->suboverflowed == last.suboverflowed &&
		active->takenDuringRecovery == last.takenDuringRecovery &&
		active->curcid == GetCurrentCommandId(false);
}

/* Who ages snapshots wants each to be as young as it can be. */
static bool
active_one_serves(void)
{
	return last.ended == kv_xact_completion_count() && ActiveSnapshotSet() &&
		!IsolationUsesXactSnapshot() && !kv_snapshots_age() &&
		shows_the_same(GetActiveSnapshot());
}

/* The count is the snapshot's own, which was taken under the lock. */
static void
remember(Snapshot snapshot)
{
	last.ended = snapshot->snapXactCompletionCount;
	last.xmin = snapshot->xmin;
	last.xmax = snapshot->xmax;
	last.xcnt = snapshot->xcnt;
	last.subxcnt = snapshot->subxcnt;
	last.suboverflowed = snapshot->suboverflowed;
	last.takenDuringRecovery = snapshot->takenDuringRecovery;
}

KvReadSnapshot
kv_read_snapshot_begin(void)
{
	KvReadSnapshot reading = {.is_pushed = !active_one_serves()};

	if (reading.is_pushed)
	{
		Snapshot	snapshot = GetTransactionSnapshot();

		remember(snapshot);
		PushActiveSnapshot(snapshot);
	}
	reading.snapshot = GetActiveSnapshot();
	return reading;
}

void
kv_read_snapshot_end(const KvReadSnapshot *reading)
{
	if (reading->is_pushed)
		PopActiveSnapshot();
}
