/*
 * worker.c
 *		The background worker that writes when keys of one database were last used.
 *
 * It waits for no row, and not long for a table.  What it cannot write is counted on, and
 * tried again after a minute.  Told to stop, it writes what there is and goes.
 *
 * It is not the audit's: callers wait for that one, and must not wait for this one's locks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "server/background.h"
#include "server/compat.h"
#include "store/use_rows.h"
#include "vault/use/worker.h"

#define LOOK_MS 500
#define IDLE_MS 2000
#define BATCH 64				/* secrets: a row that is locked is so for a moment only */
#define PROBLEM_EVERY_MS 60000	/* a problem is logged as often */

/* At a stop nobody would write it any more. */
static void
count_on(const KvCountedUse *taken)
{
	if (!kv_background_stop_requested)
		kv_use_give_back(taken);
}

/* One transaction.  What others keep locked is counted on. */
static void
write_rows(const KvCountedUse *taken, int count)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "writing last uses");
	if (OidIsValid(get_extension_oid("key_vault", true)))
	{
		for (int i = 0; i < count; i++)
		{
			if (!kv_use_row_write(&taken[i]))
				count_on(&taken[i]);
		}
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	for (int i = 0; i < count; i++)
		kv_use_written(&taken[i]);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
tell_problem(const ErrorData *error)
{
	static TimestampTz told_at;

	if (!TimestampDifferenceExceeds(told_at, GetCurrentTimestamp(), PROBLEM_EVERY_MS))
		return;
	told_at = GetCurrentTimestamp();
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("could not write when API keys were last used: %s", error->message)));
}

/* False when there was nothing to write. */
static bool
write_batch(MemoryContext context, bool everything)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	KvCountedUse *taken = palloc(sizeof(KvCountedUse) * BATCH);
	int			count = kv_use_take(everything, taken, BATCH);

	PG_TRY();
	{
		if (count > 0)
			write_rows(taken, count);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		for (int i = 0; i < count; i++)
			count_on(&taken[i]);
		tell_problem(error);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(context);
	return count > 0;
}

static void
work(MemoryContext context)
{
	TimestampTz busy_at = GetCurrentTimestamp();

	for (;;)
	{
		bool		stopping = kv_background_stop_requested;

		kv_background_heed();
		while (write_batch(context, stopping))
			busy_at = GetCurrentTimestamp();
		if (stopping ||
			(TimestampDifferenceExceeds(busy_at, GetCurrentTimestamp(), IDLE_MS) &&
			 kv_use_may_leave()))
			proc_exit(0);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
kv_use_worker_main(Datum database)
{
	kv_background_connect(DatumGetObjectId(database));
	if (!kv_use_serve())
		proc_exit(0);
	work(AllocSetContextCreate(TopMemoryContext, "key_vault last uses", ALLOCSET_DEFAULT_SIZES));
}
