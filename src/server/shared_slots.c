/*
 * shared_slots.c
 *		What one session of a database got with much trouble, for the others to take.
 *
 * One lock is held for as long as bytes are copied, and one condition variable tells all
 * who wait that some asking ended.  What was asked for is as old as the moment when it
 * was begun to be asked for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "server/compat.h"
#include "server/shared_slots.h"
#include "server/slot_memory.h"

/*
 * The latest reload that this process can know of without having been told by a
 * setting's change: a setting from the command line does not change.  Of reloads since
 * it started, a process knows when it saw them, and that is later than they were.
 */
static TimestampTz
known_reload(void)
{
	return Min(PgReloadTime, MyStartTimestamp);
}

/* The same thing, in the configuration as it is now. */
static bool
is_same(const KvAsking *asking, const KvSlotWish *wish)
{
	return asking->serial != 0 && !kv_asking_is_outdated(asking) &&
		asking->source == wish->source &&
		asking->started_at >= known_reload() &&
		strcmp(NameStr(asking->database_name), wish->database_name) == 0;
}

static bool
serves(const KvAsking *asking, const KvSlotWish *wish)
{
	return is_same(asking, wish) && asking->serial > wish->newer_than;
}

/* Another session has read a configuration that this one has not, or the other way round. */
static bool
is_of_another_mind(const KvAsking *asking, const KvSlotWish *wish)
{
	return asking->serial != 0 && !kv_asking_is_outdated(asking) && !is_same(asking, wish);
}

static bool
is_from_same_place(const KvAsking *a, const KvAsking *b)
{
	return a->source == b->source &&
		strcmp(NameStr(a->database_name), NameStr(b->database_name)) == 0;
}

static void
start_asking(KvSlot *slot, const KvSlotWish *wish, uint64 serial)
{
	/* Who waits for one that is overtaken has to look again */
	if (slot->asking.serial != 0)
		ConditionVariableBroadcast(&kv_slots->ended);
	slot->asking.serial = serial;
	slot->asking.source = wish->source;
	slot->asking.generation = pg_atomic_read_u32(&kv_slots->generation);
	slot->asking.started_at = Max(GetCurrentTimestamp(), known_reload());
	namestrcpy(&slot->asking.database_name, wish->database_name);
}

static KvSlotVerdict
take(const KvSlot *slot, KvSlotAnswer *answer)
{
	memcpy(answer->bytes, slot->bytes, slot->len);
	answer->len = slot->len;
	answer->serial = slot->got.serial;
	return KV_SLOT_FOUND;
}

KvSlotVerdict
kv_slot_look(const KvSlotWish *wish, KvSlotAnswer *answer)
{
	KvSlotVerdict verdict = KV_SLOT_NONE;
	KvSlot	   *slot;

	if (kv_slots == NULL)
		return KV_SLOT_NONE;
	LWLockAcquire(&kv_slots->lock, LW_EXCLUSIVE);
	slot = kv_slots_find();
	if (slot != NULL && serves(&slot->got, wish) && !slot->is_too_long)
		verdict = take(slot, answer);
	LWLockRelease(&kv_slots->lock);
	return verdict;
}

/*
 * KV_SLOT_NONE: there is something to wait for; *joined is then, or was before, the
 * serial of an asking whose failure is the caller's, too.
 */
static KvSlotVerdict
decide(const KvSlotWish *wish, KvSlotAnswer *answer, uint64 *joined)
{
	KvSlot	   *slot = kv_slots_find();

	answer->serial = kv_slots->last_serial + 1;
	if (slot == NULL)
		slot = kv_slots_take();
	if (slot != NULL)
	{
		slot->last_use = ++kv_slots->last_use;
		if (serves(&slot->got, wish) && !slot->is_too_long)
			return take(slot, answer);
		if (*joined != 0 && is_same(&slot->failed, wish) && slot->failed.serial >= *joined)
		{
			answer->failure = slot->failure;
			return KV_SLOT_FAILED;
		}
		if (serves(&slot->asking, wish))
			*joined = slot->asking.serial;
		if (is_same(&slot->asking, wish))
			return KV_SLOT_NONE;
	}
	kv_slots->last_serial++;
	if (slot == NULL || serves(&slot->got, wish) ||
		(ConfigReloadPending && (is_of_another_mind(&slot->asking, wish) ||
								 is_of_another_mind(&slot->got, wish))))
		return KV_SLOT_ASK_FOR_ONESELF;
	start_asking(slot, wish, answer->serial);
	return KV_SLOT_ASK_FOR_ALL;
}

KvSlotVerdict
kv_slot_get(const KvSlotWish *wish, KvSlotAnswer *answer)
{
	uint64		joined = 0;
	KvSlotVerdict verdict;

	answer->serial = 0;
	if (kv_slots == NULL)
		return KV_SLOT_ASK_FOR_ONESELF;

	Assert(OidIsValid(MyDatabaseId));
	ConditionVariablePrepareToSleep(&kv_slots->ended);
	for (;;)
	{
		LWLockAcquire(&kv_slots->lock, LW_EXCLUSIVE);
		kv_slots_wipe_locked();
		verdict = decide(wish, answer, &joined);
		LWLockRelease(&kv_slots->lock);
		if (verdict != KV_SLOT_NONE)
			break;
		ConditionVariableSleep(&kv_slots->ended, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return verdict;
}

uint64
kv_slots_last_serial(void)
{
	uint64		result;

	if (kv_slots == NULL)
		return 0;
	LWLockAcquire(&kv_slots->lock, LW_SHARED);
	result = kv_slots->last_serial;
	LWLockRelease(&kv_slots->lock);
	return result;
}

/* The slot for which the caller asks, locked; or NULL when its asking has ended. */
static KvSlot *
lock_asking(uint64 serial)
{
	KvSlot	   *slot;

	LWLockAcquire(&kv_slots->lock, LW_EXCLUSIVE);
	slot = kv_slots_find();
	return slot != NULL && slot->asking.serial == serial ? slot : NULL;
}

static void
end_asking(KvSlot *slot)
{
	if (slot != NULL)
		slot->asking.serial = 0;
	LWLockRelease(&kv_slots->lock);
	ConditionVariableBroadcast(&kv_slots->ended);
}

void
kv_slot_publish(uint64 serial, const void *bytes, Size len)
{
	KvSlot	   *slot = lock_asking(serial);

	if (slot != NULL && !kv_asking_is_outdated(&slot->asking))
	{
		if (!is_from_same_place(&slot->asking, &slot->got))
			slot->lack_count = 0;
		kv_slot_wipe_got(slot);
		slot->got = slot->asking;
		slot->got_at = GetCurrentTimestamp();
		slot->is_too_long = len > KV_SLOT_BYTES;
		if (!slot->is_too_long)
		{
			memcpy(slot->bytes, bytes, len);
			slot->len = len;
		}
	}
	end_asking(slot);
}

void
kv_slot_fail(uint64 serial, const KvSlotFailure *failure)
{
	KvSlot	   *slot = lock_asking(serial);

	if (slot != NULL)
	{
		slot->failed = slot->asking;
		slot->failure = *failure;
	}
	end_asking(slot);
}

void
kv_slot_abandon(uint64 serial)
{
	end_asking(lock_asking(serial));
}

static int
find_lack(const KvSlot *slot, const uint8 *name)
{
	for (int i = 0; i < Min(slot->lack_count, KV_SLOT_LACKS); i++)
	{
		if (memcmp(slot->lacks[i], name, KV_SLOT_NAME_BYTES) == 0)
			return i;
	}
	return -1;
}

void
kv_slot_note_lack(uint64 serial, const uint8 name[8])
{
	KvSlot	   *slot;

	if (kv_slots == NULL)
		return;
	LWLockAcquire(&kv_slots->lock, LW_EXCLUSIVE);
	slot = kv_slots_find();
	if (slot != NULL && slot->got.serial == serial && find_lack(slot, name) < 0)
		memcpy(slot->lacks[slot->lack_count++ % KV_SLOT_LACKS], name, KV_SLOT_NAME_BYTES);
	LWLockRelease(&kv_slots->lock);
}

bool
kv_slot_lacks(const KvSlotWish *wish, const uint8 name[8], int within_ms)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		result = false;
	KvSlot	   *slot;

	if (kv_slots == NULL)
		return false;
	LWLockAcquire(&kv_slots->lock, LW_SHARED);
	slot = kv_slots_find();
	if (slot != NULL && is_same(&slot->got, wish))
		result = find_lack(slot, name) >= 0 && slot->got_at <= now &&
			!TimestampDifferenceExceeds(slot->got_at, now, within_ms);
	LWLockRelease(&kv_slots->lock);
	return result;
}
