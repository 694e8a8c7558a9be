/*
 * use_workers.c
 *		Which database has a worker that writes last uses, and starts one where there is none.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "server/background.h"
#include "server/use_workers.h"

#define ASK_EVERY_MS 500
#define START_MS 3000			/* a worker that has not come by then will not */

void
kv_use_workers_init(KvUseWorkers *workers, int tranche)
{
	LWLockInitialize(&workers->lock, tranche);
}

/* The database's entry, or one that no worker has; NULL when all have one. */
static KvUseWorker *
find_worker(KvUseWorkers *workers, TimestampTz now)
{
	KvUseWorker *unused = NULL;

	for (int i = 0; i < KV_USE_WORKERS; i++)
	{
		KvUseWorker *worker = &workers->worker[i];

		if (worker->database == MyDatabaseId)
			return worker;
		if (unused == NULL && worker->pid == 0 &&
			(worker->registered_at == 0 ||
			 TimestampDifferenceExceeds(worker->registered_at, now, START_MS)))
			unused = worker;
	}
	if (unused != NULL)
		*unused = (KvUseWorker){.database = MyDatabaseId};
	return unused;
}

void
kv_use_workers_see_to(KvUseWorkers *workers, TimestampTz now)
{
	static TimestampTz asked_at;
	KvUseWorker *worker;
	bool		wanted;

	if (asked_at <= now && !TimestampDifferenceExceeds(asked_at, now, ASK_EVERY_MS))
		return;
	asked_at = now;
	LWLockAcquire(&workers->lock, LW_EXCLUSIVE);
	worker = find_worker(workers, now);
	wanted = worker != NULL && worker->pid == 0 &&
		(worker->registered_at == 0 || worker->registered_at > now ||
		 TimestampDifferenceExceeds(worker->registered_at, now, START_MS));
	if (wanted)
		worker->registered_at = now;
	LWLockRelease(&workers->lock);
	if (wanted)
		(void) kv_background_start("kv_use_worker_main", "key_vault last use");
}

void
kv_use_workers_wake(KvUseWorkers *workers)
{
	LWLockAcquire(&workers->lock, LW_SHARED);
	for (int i = 0; i < KV_USE_WORKERS; i++)
	{
		const KvUseWorker *worker = &workers->worker[i];

		if (worker->database == MyDatabaseId && worker->pid != 0)
			SetLatch(worker->latch);
	}
	LWLockRelease(&workers->lock);
}

void
kv_use_workers_leave(KvUseWorkers *workers)
{
	LWLockAcquire(&workers->lock, LW_EXCLUSIVE);
	for (int i = 0; i < KV_USE_WORKERS; i++)
	{
		if (workers->worker[i].pid == MyProcPid)
			workers->worker[i].pid = 0;
	}
	LWLockRelease(&workers->lock);
}

static void
leave_at_exit(int code, Datum workers)
{
	kv_use_workers_leave((KvUseWorkers *) DatumGetPointer(workers));
}

bool
kv_use_workers_become(KvUseWorkers *workers)
{
	KvUseWorker *worker;
	bool		free;

	LWLockAcquire(&workers->lock, LW_EXCLUSIVE);
	worker = find_worker(workers, GetCurrentTimestamp());
	free = worker != NULL && worker->pid == 0;
	if (free)
	{
		worker->pid = MyProcPid;
		worker->latch = MyLatch;
		worker->registered_at = 0;
	}
	LWLockRelease(&workers->lock);
	return free;
}

bool
kv_use_workers_serve(KvUseWorkers *workers)
{
	before_shmem_exit(leave_at_exit, PointerGetDatum(workers));
	return kv_use_workers_become(workers);
}
