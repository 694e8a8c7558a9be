/*
 * audit_memory.h
 *		The memory of audit_ring.h: for audit_ring.c alone.
 *
 * Where nothing else is said, the caller holds the ring's lock.
 */
#ifndef KV_AUDIT_MEMORY_H
#define KV_AUDIT_MEMORY_H

#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "server/audit_ring.h"

#define KV_AUDIT_RINGS 16

typedef struct KvAuditRing
{
	Oid			database;		/* InvalidOid: free; under the lock of all rings */
	LWLock		lock;			/* for all below */
	ConditionVariable moved;	/* written grew, or the worker came or went */
	uint64		appended;
	uint64		taken;			/* by the worker: written, or about to be */
	uint64		written;
	int			attached;		/* backends that may leave records */
	int			worker_pid;		/* 0: none */
	Latch	   *worker_latch;
	TimestampTz registered_at;	/* of a worker that has not come yet; 0: none */
	char		problem[KV_AUDIT_PROBLEM_BYTES];
	TimestampTz head_told_at;	/* the worker's own */
	char		bytes[KV_AUDIT_RING_BYTES];
} KvAuditRing;

typedef struct KvAuditRings
{
	LWLock		lock;			/* which database has which; taken before a ring's */
	KvAuditRing ring[KV_AUDIT_RINGS];
} KvAuditRings;

/* NULL: there are none. */
extern KvAuditRings *kv_audit_rings;

/*
 * This database's ring, with the caller attached: its own, or one that no database uses.  NULL:
 * none is free.  No lock is held.
 */
extern KvAuditRing *kv_audit_ring_take(void);

/* Whether this database has one.  No lock is held. */
extern bool kv_audit_ring_is_used(void);

/* Whether there is room for a record of so many bytes. */
extern bool kv_audit_ring_has_room(const KvAuditRing *ring, Size len);

/* Puts a record, for which there is room, behind the last one. */
extern void kv_audit_ring_put(KvAuditRing *ring, const void *entry, Size len);

/* Copies bytes that are not written yet.  No lock is needed. */
extern void kv_audit_ring_get(const KvAuditRing *ring, uint64 place, void *bytes, Size len);

/* There is no worker any more. */
extern void kv_audit_ring_end_service(KvAuditRing *ring);

#endif							/* KV_AUDIT_MEMORY_H */
