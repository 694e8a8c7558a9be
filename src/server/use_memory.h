/*
 * use_memory.h
 *		The memory of use_table.h: for use_table.c alone.
 *
 * Where nothing else is said, the caller holds the lock of the part.
 */
#ifndef KV_USE_MEMORY_H
#define KV_USE_MEMORY_H

#include "storage/lwlock.h"

#include "server/use_table.h"
#include "server/use_workers.h"

#define KV_USE_PARTS 512		/* a power of 2 */
#define KV_USE_PLACES 32		/* in each: one bit of a uint32 for each */

typedef struct KvUsePlace
{
	Oid			database;		/* InvalidOid: nothing is here */
	TimestampTz written_at;		/* when the worker last took it; 0: never */
	int64		taken;			/* how many uses it took then, which it has not written yet */
	TimestampTz taken_at;		/* the last of them */
	KvCountedUse use;			/* uses is 0 when all is written */
} KvUsePlace;

typedef struct KvUsePart
{
	LWLock		lock;			/* for all below */
	bool		is_crowded;		/* all of it is to be written now */
	TimestampTz crowded_at;		/* when it was that last */
	uint32		unwritten;		/* the places with uses, a bit for each */
	uint32		hashes[KV_USE_PLACES];
	KvUsePlace	places[KV_USE_PLACES];
} KvUsePart;

typedef struct KvUseMemory
{
	KvUseWorkers workers;
	KvUsePart	parts[KV_USE_PARTS];
} KvUseMemory;

/* NULL: there is none. */
extern KvUseMemory *kv_use_memory;

/*
 * The names of a key as they stand in a place, with no uses; false when they cannot be a secret's.
 * No lock is needed.
 */
extern bool kv_use_pack(const KvUsedKey *key, KvCountedUse *use);

/* How many bytes of a counted use say something: its names are the last of it. */
extern Size kv_use_bytes(const KvCountedUse *use);

/* Of the name alone: a new version takes the place of the old one.  No lock is needed. */
extern uint32 kv_use_hash(const KvCountedUse *use);

/* Where a secret is if it is anywhere.  No lock is needed. */
static inline KvUsePart *
kv_use_part(uint32 hash)
{
	return &kv_use_memory->parts[hash % KV_USE_PARTS];
}

/* The place that a secret has unless another one was there first.  No lock is needed. */
static inline KvUsePlace *
kv_use_first_place(KvUsePart *part, uint32 hash)
{
	return &part->places[hash / KV_USE_PARTS % KV_USE_PLACES];
}

/* The place of a secret of this database, or NULL. */
extern KvUsePlace *kv_use_find(KvUsePart *part, uint32 hash, const KvCountedUse *use);

/* Makes one for a secret that has none, with no uses; another secret may be forgotten for it. */
extern KvUsePlace *kv_use_make_place(KvUsePart *part, uint32 hash, const KvCountedUse *use);

/* Has a place say so many uses, and its part what is unwritten. */
static inline void
kv_use_set(KvUsePart *part, KvUsePlace *place, int64 uses)
{
	uint32		bit = (uint32) 1 << (place - part->places);

	place->use.uses = uses;
	if (uses > 0)
		part->unwritten |= bit;
	else
		part->unwritten &= ~bit;
}

#endif							/* KV_USE_MEMORY_H */
