/*
 * slot_memory.c
 *		The pages that hold the slots, from the server's start to its end.
 *
 * They are not in the server's shared memory, which is in core dumps and may be on huge
 * pages.  Who asks and who waits is not known here.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"

#include "server/compat.h"
#include "server/locked_memory.h"
#include "server/slot_memory.h"

/* The limit on locked memory that older systems give by default. */
#define MAPPING_MAX (64 * 1024)

StaticAssertDecl(sizeof(KvSlots) <= MAPPING_MAX, "slots may not fit the limit on locked memory");

KvSlots    *kv_slots;
static shmem_startup_hook_type previous_shmem_startup;

/* As the postmaster ends, and after a crash, before it begins anew. */
static void
wipe_all(int code, Datum arg)
{
	explicit_bzero(kv_slots, sizeof(KvSlots));
}

/* The memory is all zero. */
static void
shmem_startup(void)
{
	if (previous_shmem_startup)
		previous_shmem_startup();
	pg_atomic_init_u32(&kv_slots->generation, 0);
	pg_atomic_init_u32(&kv_slots->wiped, 0);
	LWLockInitialize(&kv_slots->lock, kv_new_tranche("key_vault"));
	ConditionVariableInit(&kv_slots->ended);
	on_shmem_exit(wipe_all, 0);
}

void
kv_slots_init(void)
{
#ifdef EXEC_BACKEND
	return;						/* no fork of the postmaster: each would have its own */
#endif
	kv_slots = kv_locked_map_shared(sizeof(KvSlots));
	if (kv_slots == NULL)
		return;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

bool
kv_slots_exist(void)
{
	return kv_slots != NULL;
}

void
kv_slots_outdate(void)
{
	if (kv_slots != NULL && !IsUnderPostmaster)
		(void) pg_atomic_fetch_add_u32(&kv_slots->generation, 1);
}

void
kv_slot_wipe_got(KvSlot *slot)
{
	explicit_bzero(slot->bytes, sizeof(slot->bytes));
	memset(&slot->got, 0, sizeof(slot->got));
	slot->is_too_long = false;
	slot->len = 0;
}

bool
kv_asking_is_outdated(const KvAsking *asking)
{
	return asking->generation != pg_atomic_read_u32(&kv_slots->generation);
}

void
kv_slots_wipe_locked(void)
{
	const uint32 generation = pg_atomic_read_u32(&kv_slots->generation);

	if (pg_atomic_read_u32(&kv_slots->wiped) == generation)
		return;
	for (int i = 0; i < KV_SLOTS; i++)
	{
		KvSlot	   *slot = &kv_slots->slot[i];

		if (slot->got.serial == 0 || !kv_asking_is_outdated(&slot->got))
			continue;
		kv_slot_wipe_got(slot);
		slot->lack_count = 0;
	}
	pg_atomic_write_u32(&kv_slots->wiped, generation);
}

void
kv_slots_wipe_outdated(void)
{
	if (kv_slots == NULL ||
		pg_atomic_read_u32(&kv_slots->wiped) == pg_atomic_read_u32(&kv_slots->generation))
		return;
	LWLockAcquire(&kv_slots->lock, LW_EXCLUSIVE);
	kv_slots_wipe_locked();
	LWLockRelease(&kv_slots->lock);
}

KvSlot *
kv_slots_find(void)
{
	for (int i = 0; i < KV_SLOTS; i++)
	{
		if (kv_slots->slot[i].database == MyDatabaseId)
			return &kv_slots->slot[i];
	}
	return NULL;
}

KvSlot *
kv_slots_take(void)
{
	KvSlot	   *oldest = NULL;

	for (int i = 0; i < KV_SLOTS; i++)
	{
		KvSlot	   *slot = &kv_slots->slot[i];

		if (slot->asking.serial == 0 &&
			(oldest == NULL || slot->last_use < oldest->last_use))
			oldest = slot;
	}
	if (oldest != NULL)
	{
		explicit_bzero(oldest, sizeof(*oldest));
		oldest->database = MyDatabaseId;
	}
	return oldest;
}
