/*
 * audit_ring.c
 *		What backends leave for the worker of their database, and how they wait for it.
 *
 * A lock of a ring is held for as long as bytes are copied.  A record is whole when the
 * lock is let go of: a backend cannot end in between.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "server/audit_memory.h"
#include "server/audit_ring.h"
#include "server/background.h"
#include "server/compat.h"
#include "server/errors.h"

#define LOOK_AGAIN_MS 100
#define USUAL_BYTES 256			/* few records are longer */
#define START_MS 3000			/* a worker that has not come by then will not */

static KvAuditRing *mine;		/* of this backend's database, once it is attached */
static bool is_worker;

static void
detach(int code, Datum arg)
{
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	if (is_worker && mine->worker_pid == MyProcPid)
		kv_audit_ring_end_service(mine);
	if (!is_worker)
		mine->attached--;
	LWLockRelease(&mine->lock);
	ConditionVariableBroadcast(&mine->moved);
}

/* The database's ring; NULL when all are other databases'. */
static KvAuditRing *
attach(void)
{
	if (mine != NULL || kv_audit_rings == NULL)
		return mine;
	mine = kv_audit_ring_take();
	if (mine != NULL)
		before_shmem_exit(detach, (Datum) 0);
	return mine;
}

bool
kv_audit_ring_exists(void)
{
	return kv_audit_rings != NULL;
}

/* What keeps a record from disk, when somebody has waited too long. */
pg_noreturn static void
report_too_long(int timeout_ms)
{
	char		problem[KV_AUDIT_PROBLEM_BYTES];

	LWLockAcquire(&mine->lock, LW_SHARED);
	strlcpy(problem, mine->problem, sizeof(problem));
	if (problem[0] == '\0' && mine->worker_pid == 0)
		strlcpy(problem, "No worker could be started; max_worker_processes may be used up.", sizeof(problem));
	LWLockRelease(&mine->lock);
	ereport(ERROR,
			(errcode(KV_ERRCODE_AUDIT),
			 errmsg("no audit record could be written within %d ms", timeout_ms),
			 problem[0] != '\0' ? errdetail("%s", problem) :
			 errdetail("The worker \"key_vault audit\" did not write it in time."),
			 errhint("No API key is handed out without its record. See the server's log for what keeps the worker from writing.")));
}

pg_noreturn static void
report_no_ring(void)
{
	if (kv_audit_rings == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_AUDIT),
				 errmsg("no audit record can be written"),
				 errdetail("key_vault is not in shared_preload_libraries."),
				 errhint("Add it there and restart the server, or set key_vault.audit to off.")));
	ereport(ERROR,
			(errcode(KV_ERRCODE_AUDIT),
			 errmsg("no audit record can be written"),
			 errdetail("%d other databases have sessions that use key_vault.audit.", KV_AUDIT_RINGS)));
}

/* Starts a worker, unless there is one or one is on its way. */
static void
see_to_worker(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		wanted;

	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	wanted = mine->worker_pid == 0 &&
		(mine->registered_at == 0 || mine->registered_at > now ||
		 TimestampDifferenceExceeds(mine->registered_at, now, START_MS));
	if (wanted)
		mine->registered_at = now;
	LWLockRelease(&mine->lock);
	if (!wanted)
		return;
	if (kv_background_start("kv_audit_worker_main", "key_vault audit"))
		return;
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	if (mine->registered_at == now)
		mine->registered_at = 0;
	LWLockRelease(&mine->lock);
}

/* What a wait is for: room for so many bytes, or what was left up to a place. */
typedef struct Wish
{
	Size		room;			/* 0: no matter */
	KvAuditWait until;
	uint64		place;
} Wish;

/* Under the ring's lock. */
static bool
is_fulfilled(const Wish *wish)
{
	if (wish->room > 0)
		return kv_audit_ring_has_room(mine, wish->room);
	if (wish->until == KV_AUDIT_WAIT_NOT || mine->written >= wish->place)
		return true;
	if (wish->until == KV_AUDIT_WAIT_SERVED)
		return mine->worker_pid != 0;
	/* while nothing can be written, all wait: what is not on disk must not grow old */
	return wish->until == KV_AUDIT_WAIT_WORKER && mine->worker_pid != 0 && mine->problem[0] == '\0';
}

static void
wait_for(const Wish *wish, TimestampTz began, int timeout_ms)
{
	ConditionVariablePrepareToSleep(&mine->moved);
	for (;;)
	{
		bool		fulfilled;

		LWLockAcquire(&mine->lock, LW_SHARED);
		fulfilled = is_fulfilled(wish);
		if (!fulfilled && mine->worker_latch != NULL)
			SetLatch(mine->worker_latch);
		LWLockRelease(&mine->lock);
		if (fulfilled)
			break;
		if (TimestampDifferenceExceeds(began, GetCurrentTimestamp(), timeout_ms))
			report_too_long(timeout_ms);
		see_to_worker();
		(void) ConditionVariableTimedSleep(&mine->moved, Min(LOOK_AGAIN_MS, Max(timeout_ms, 1)),
										   PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

/* No lock: what is fetched in vain does no harm. */
void
kv_audit_ring_expect(void)
{
	Size		at;

	if (mine == NULL)
		return;
	at = mine->appended % KV_AUDIT_RING_BYTES;
	for (Size i = 0; i < USUAL_BYTES && at + i < KV_AUDIT_RING_BYTES; i += PG_CACHE_LINE_SIZE)
	{
		__builtin_prefetch(&mine->bytes[at + i], 1);
		__builtin_prefetch(&mine->bytes[at + i + PG_CACHE_LINE_SIZE / 2], 1);
	}
	__builtin_prefetch(&mine->lock, 1);
}

void
kv_audit_ring_leave(const void *entry, Size len, KvAuditWait wait, int timeout_ms)
{
	Wish		wish = {.until = wait};
	TimestampTz began = 0;
	bool		done;

	if (attach() == NULL)
		report_no_ring();
	for (;;)
	{
		LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
		if (kv_audit_ring_has_room(mine, len))
			break;
		LWLockRelease(&mine->lock);
		if (began == 0)
			began = GetCurrentTimestamp();
		wait_for(&(Wish){.room = len}, began, timeout_ms);
	}
	kv_audit_ring_put(mine, entry, len);
	wish.place = mine->appended;
	done = is_fulfilled(&wish);
	/* it looks by itself, too, but would find the ring full */
	if (mine->appended - mine->taken > KV_AUDIT_RING_BYTES / 2 && mine->worker_latch != NULL)
		SetLatch(mine->worker_latch);
	LWLockRelease(&mine->lock);
	if (!done)
		wait_for(&wish, began != 0 ? began : GetCurrentTimestamp(), timeout_ms);
}

bool
kv_audit_ring_try_leave(const void *entry, Size len)
{
	bool		room;

	if (attach() == NULL)
		return false;
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	room = kv_audit_ring_has_room(mine, len);
	if (room)
		kv_audit_ring_put(mine, entry, len);
	LWLockRelease(&mine->lock);
	see_to_worker();
	return room;
}

void
kv_audit_ring_settle(KvAuditWait wait, int timeout_ms)
{
	Wish		wish = {.until = wait};
	bool		done;

	if (kv_audit_rings == NULL || (mine == NULL && !kv_audit_ring_is_used()))
		return;
	if (attach() == NULL)
		report_no_ring();
	LWLockAcquire(&mine->lock, LW_SHARED);
	wish.place = mine->appended;
	done = is_fulfilled(&wish);
	LWLockRelease(&mine->lock);
	if (!done)
		wait_for(&wish, GetCurrentTimestamp(), timeout_ms);
}

bool
kv_audit_ring_serve(void)
{
	bool		free;

	is_worker = true;
	if (kv_audit_rings == NULL || !kv_audit_ring_is_used() || attach() == NULL)
		return false;
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	mine->attached--;			/* it leaves no records */
	free = mine->worker_pid == 0;
	if (free)
	{
		mine->worker_pid = MyProcPid;
		mine->worker_latch = MyLatch;
		mine->registered_at = 0;
		mine->taken = mine->written;
		mine->problem[0] = '\0';
	}
	LWLockRelease(&mine->lock);
	ConditionVariableBroadcast(&mine->moved);
	return free;
}

char *
kv_audit_ring_read(Size max, Size *len, uint64 *end)
{
	uint64		from;
	uint64		to;
	static char *copy;

	LWLockAcquire(&mine->lock, LW_SHARED);
	from = mine->written;
	to = mine->appended;
	LWLockRelease(&mine->lock);

	/* Nobody writes between the two, and what is behind is not read */
	*end = from;
	while (*end < to)
	{
		uint32		entry_len;

		kv_audit_ring_get(mine, *end, &entry_len, sizeof(entry_len));
		if (*end > from && *end + sizeof(entry_len) + entry_len - from > max)
			break;
		*end += sizeof(entry_len) + entry_len;
	}
	*len = *end - from;
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	mine->taken = *end;
	LWLockRelease(&mine->lock);
	if (copy == NULL)
		copy = MemoryContextAlloc(TopMemoryContext, KV_AUDIT_RING_BYTES);
	kv_audit_ring_get(mine, from, copy, *len);
	return copy;
}

void
kv_audit_ring_written(uint64 end)
{
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	mine->written = end;
	mine->problem[0] = '\0';
	LWLockRelease(&mine->lock);
	ConditionVariableBroadcast(&mine->moved);
}

void
kv_audit_ring_tell_problem(const char *problem)
{
	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	strlcpy(mine->problem, problem != NULL ? problem : "", sizeof(mine->problem));
	LWLockRelease(&mine->lock);
}

void
kv_audit_ring_nap(int milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

bool
kv_audit_ring_may_leave(bool stopping)
{
	bool		may;

	LWLockAcquire(&mine->lock, LW_EXCLUSIVE);
	may = mine->written == mine->appended && (!stopping || mine->attached == 0);
	if (may)
		kv_audit_ring_end_service(mine);
	LWLockRelease(&mine->lock);
	return may;
}

uint64
kv_audit_ring_backlog(bool *attached)
{
	uint64		result;

	LWLockAcquire(&mine->lock, LW_SHARED);
	result = mine->appended - mine->written;
	*attached = mine->attached > 0;
	LWLockRelease(&mine->lock);
	return result;
}

TimestampTz
kv_audit_ring_head_told_at(void)
{
	return mine->head_told_at;
}

void
kv_audit_ring_head_told(TimestampTz at)
{
	mine->head_told_at = at;
}
