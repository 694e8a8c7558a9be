/*
 * use_table.c
 *		Counts the uses of keys in shared memory, and tells the worker when to write them.
 *
 * The table is in parts, each under a lock that is held for as long as a few names are
 * compared.  A part that is nearly full of what is not written is written early.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/timestamp.h"

#include "server/use_memory.h"

#define CROWDED 24				/* places that are not written */
#define WRITE_EVERY_MS 60000
#define CROWDED_EVERY_MS 1000	/* a part is written early as often */

bool
kv_use_table_exists(void)
{
	return kv_use_memory != NULL;
}

static bool
is_due(const KvUsePart *part, const KvUsePlace *place, TimestampTz now)
{
	return place->use.uses > 0 &&
		(part->is_crowded || place->written_at == 0 || place->written_at > now ||
		 TimestampDifferenceExceeds(place->written_at, now, WRITE_EVERY_MS));
}

/* Whether a part has become crowded, not long after it was so last. */
static bool
becomes_crowded(KvUsePart *part, TimestampTz now)
{
	if (part->is_crowded ||
		(part->crowded_at <= now && !TimestampDifferenceExceeds(part->crowded_at, now, CROWDED_EVERY_MS)))
		return false;
	part->is_crowded = pg_popcount32(part->unwritten) >= CROWDED;
	if (part->is_crowded)
		part->crowded_at = now;
	return part->is_crowded;
}

void
kv_use_expect(const KvUsedKey *key)
{
	KvCountedUse use;

	if (kv_use_memory != NULL && kv_use_pack(key, &use))
	{
		uint32		hash = kv_use_hash(&use);
		KvUsePart  *part = kv_use_part(hash);
		const KvUsePlace *place = kv_use_first_place(part, hash);

		__builtin_prefetch(&part->lock);
		__builtin_prefetch(place);
		__builtin_prefetch(place->use.names);
	}
}

void
kv_use_count(const KvUsedKey *key)
{
	KvCountedUse use;
	TimestampTz now;
	uint32		hash;
	KvUsePart  *part;
	KvUsePlace *place;
	bool		due;
	bool		crowded = false;

	if (kv_use_memory == NULL || RecoveryInProgress() || !kv_use_pack(key, &use))
		return;
	now = GetCurrentTimestamp();
	hash = kv_use_hash(&use);
	part = kv_use_part(hash);
	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = kv_use_find(part, hash, &use);
	if (place == NULL)
		place = kv_use_make_place(part, hash, &use);
	if (place->use.set_at != use.set_at)
	{
		place->use.version = use.version;
		place->use.set_at = use.set_at;
		place->written_at = 0;
		place->taken = 0;
		kv_use_set(part, place, 0);
	}
	kv_use_set(part, place, place->use.uses + 1);
	place->use.used_at = now;
	if (place->use.uses == 1)
		crowded = becomes_crowded(part, now);
	due = is_due(part, place, now);
	LWLockRelease(&part->lock);
	if (due)
		kv_use_workers_see_to(&kv_use_memory->workers, now);
	if (crowded)
		kv_use_workers_wake(&kv_use_memory->workers);
}

bool
kv_use_counted(const KvUsedKey *key, TimestampTz written, int64 *uses, TimestampTz *used_at)
{
	KvCountedUse use;
	uint32		hash;
	KvUsePart  *part;
	const KvUsePlace *place;
	bool		found;

	*uses = 0;
	if (kv_use_memory == NULL || !kv_use_pack(key, &use))
		return false;
	hash = kv_use_hash(&use);
	part = kv_use_part(hash);
	LWLockAcquire(&part->lock, LW_SHARED);
	place = kv_use_find(part, hash, &use);
	found = place != NULL && place->use.set_at == use.set_at && place->use.version == use.version;
	if (found)
	{
		*uses = place->use.uses + (written < place->taken_at ? place->taken : 0);
		*used_at = place->use.used_at;
	}
	LWLockRelease(&part->lock);
	return *uses > 0;
}

bool
kv_use_serve(void)
{
	return kv_use_memory != NULL && kv_use_workers_serve(&kv_use_memory->workers);
}

int
kv_use_take(bool everything, KvCountedUse *taken, int max)
{
	TimestampTz now = GetCurrentTimestamp();
	int			count = 0;

	for (int i = 0; i < KV_USE_PARTS && count < max; i++)
	{
		KvUsePart  *part = &kv_use_memory->parts[i];

		LWLockAcquire(&part->lock, LW_EXCLUSIVE);
		for (int j = 0; j < KV_USE_PLACES && count < max; j++)
		{
			KvUsePlace *place = &part->places[j];

			if (place->database != MyDatabaseId || place->use.uses == 0 ||
				!(everything || is_due(part, place, now)))
				continue;
			memcpy(&taken[count++], &place->use, kv_use_bytes(&place->use));
			place->taken = place->use.uses;
			place->taken_at = place->use.used_at;
			place->written_at = now;
			kv_use_set(part, place, 0);
		}
		if (count < max)
			part->is_crowded = false;
		LWLockRelease(&part->lock);
	}
	return count;
}

void
kv_use_give_back(const KvCountedUse *taken)
{
	uint32		hash = kv_use_hash(taken);
	KvUsePart  *part = kv_use_part(hash);
	KvUsePlace *place;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = kv_use_find(part, hash, taken);
	if (place != NULL && place->use.set_at == taken->set_at)
	{
		kv_use_set(part, place, place->use.uses + taken->uses);
		place->taken = 0;
	}
	LWLockRelease(&part->lock);
}

void
kv_use_written(const KvCountedUse *taken)
{
	uint32		hash = kv_use_hash(taken);
	KvUsePart  *part = kv_use_part(hash);
	KvUsePlace *place;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = kv_use_find(part, hash, taken);
	if (place != NULL)
		place->taken = 0;
	LWLockRelease(&part->lock);
}

/* Whether there is something to write. */
static bool
any_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		due = false;

	for (int i = 0; i < KV_USE_PARTS && !due; i++)
	{
		KvUsePart  *part = &kv_use_memory->parts[i];

		LWLockAcquire(&part->lock, LW_SHARED);
		for (int j = 0; j < KV_USE_PLACES && !due; j++)
			due = part->places[j].database == MyDatabaseId && is_due(part, &part->places[j], now);
		LWLockRelease(&part->lock);
	}
	return due;
}

/* Who counts something after the look sees that there is no worker, and starts another one. */
bool
kv_use_may_leave(void)
{
	kv_use_workers_leave(&kv_use_memory->workers);
	return !any_is_due() || !kv_use_workers_become(&kv_use_memory->workers);
}
