/*
 * audit_ring.h
 *		Where backends leave records for the worker of their database to write.
 *
 * There is a ring of bytes for each database that uses it, in the server's shared
 * memory, when the library is in shared_preload_libraries.  What the bytes say is not known
 * here.  A place in a ring is how many bytes were ever left before it: those up to
 * "written" are on disk.  They stay in the ring until then, whatever becomes of the
 * worker.
 *
 * Nobody waits under a lock, and every wait can be cancelled and has an end.
 */
#ifndef KV_AUDIT_RING_H
#define KV_AUDIT_RING_H

#include "datatype/timestamp.h"

#define KV_AUDIT_RING_BYTES (1024 * 1024)
#define KV_AUDIT_ENTRY_MAX 4096 /* bytes of one record */
#define KV_AUDIT_PROBLEM_BYTES 256

typedef enum KvAuditWait
{
	KV_AUDIT_WAIT_NOT,			/* only for room */
	KV_AUDIT_WAIT_SERVED,		/* until a worker is there */
	KV_AUDIT_WAIT_WORKER,		/* until one is there that can write */
	KV_AUDIT_WAIT_WRITTEN		/* until the record is on disk */
} KvAuditWait;

/* When the server loads the library. */
extern void kv_audit_ring_init(void);

extern bool kv_audit_ring_exists(void);

/*
 * Leaves a record, and starts a worker when there is none.
 *
 * Errors: 58030 when a wait is longer than the timeout, with what is known of the reason.  The
 * record may have been left all the same.
 */
extern void kv_audit_ring_leave(const void *entry, Size len, KvAuditWait wait, int timeout_ms);

/*
 * Has the memory for a record fetched meanwhile: it was the worker's last, and is in another
 * CPU's cache.
 */
extern void kv_audit_ring_expect(void);

/* The same without a wait or an error: false when there is no room, or no ring. */
extern bool kv_audit_ring_try_leave(const void *entry, Size len);

/*
 * Waits for all that was left in this database before the call, as if the last of it were
 * the caller's.  Errors: as above.
 */
extern void kv_audit_ring_settle(KvAuditWait wait, int timeout_ms);

/* Whether this database has a worker now, and what keeps it from writing: "" when nothing does. */
extern bool kv_audit_ring_look(char problem[KV_AUDIT_PROBLEM_BYTES]);


/* For the worker alone */

/*
 * This process is its database's worker from now on, until kv_audit_ring_may_leave() or its
 * end.  False when there is one, or nothing to do.
 */
extern bool kv_audit_ring_serve(void);

/*
 * The records that are not yet written, one after the other, each behind its length as a
 * uint32: a copy, good until the next call, and at most so many bytes.  *end is the place
 * behind them.
 */
extern char *kv_audit_ring_read(Size max, Size *len, uint64 *end);

/* All up to that place is on disk.  Cannot fail. */
extern void kv_audit_ring_written(uint64 end);

/* Nothing can be written for now: for the errors of those who wait.  NULL: it can again. */
extern void kv_audit_ring_tell_problem(const char *problem);

/* Waits until there may be something to do, at most so long. */
extern void kv_audit_ring_nap(int milliseconds);

/*
 * Whether the worker's time is over: nothing is left and, at a stop, nobody is there who
 * could leave something.  Then it is the worker no more.
 */
extern bool kv_audit_ring_may_leave(bool stopping);

/* How many bytes are not written, and whether any backend could still leave some. */
extern uint64 kv_audit_ring_backlog(bool *attached);

/* When the head was last told to the server's log; 0: not since the server started. */
extern TimestampTz kv_audit_ring_head_told_at(void);
extern void kv_audit_ring_head_told(TimestampTz at);

#endif							/* KV_AUDIT_RING_H */
