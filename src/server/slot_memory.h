/*
 * slot_memory.h
 *		The memory of shared_slots.h: for shared_slots.c alone.
 *
 * Where nothing else is said, the caller holds the lock.
 */
#ifndef KV_SLOT_MEMORY_H
#define KV_SLOT_MEMORY_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "server/shared_slots.h"

#define KV_SLOTS 16
#define KV_SLOT_LACKS 16
#define KV_SLOT_NAME_BYTES 8

/* When something was asked for, and what. */
typedef struct KvAsking
{
	uint64		serial;			/* 0: nothing */
	uint64		source;
	uint32		generation;		/* of the configuration */
	TimestampTz started_at;
	NameData	database_name;
} KvAsking;

typedef struct KvSlot
{
	Oid			database;		/* InvalidOid: free */
	uint64		last_use;
	KvAsking	asking;			/* now */
	KvAsking	got;
	TimestampTz got_at;
	bool		is_too_long;
	Size		len;
	KvAsking	failed;			/* the latest that did */
	KvSlotFailure failure;
	int			lack_count;
	uint8		lacks[KV_SLOT_LACKS][KV_SLOT_NAME_BYTES];
	uint8		bytes[KV_SLOT_BYTES];
} KvSlot;

typedef struct KvSlots
{
	pg_atomic_uint32 generation;	/* how often the configuration was read anew */
	pg_atomic_uint32 wiped;		/* the generation before which nothing is left */
	LWLock		lock;			/* for all below */
	ConditionVariable ended;
	uint64		last_serial;
	uint64		last_use;
	KvSlot		slot[KV_SLOTS];
} KvSlots;

/* NULL: there are none. */
extern KvSlots *kv_slots;

/* This database's slot, or NULL. */
extern KvSlot *kv_slots_find(void);

/*
 * One for this database, which has none: a free one, or that of the database that has not
 * used its own for longest; or NULL.
 */
extern KvSlot *kv_slots_take(void);

/* Wipes what was got, and all that is known of it. */
extern void kv_slot_wipe_got(KvSlot *slot);

/* The same in all slots where it is outdated. */
extern void kv_slots_wipe_locked(void);

/* Whether the configuration was read anew since.  Needs no lock. */
extern bool kv_asking_is_outdated(const KvAsking *asking);

#endif							/* KV_SLOT_MEMORY_H */
