/*
 * use_workers.h
 *		Which database has a worker that writes last uses: for use_table.c alone.
 *
 * The caller holds no lock of a part.
 */
#ifndef KV_USE_WORKERS_H
#define KV_USE_WORKERS_H

#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define KV_USE_WORKERS 64		/* databases that have one at a time */

typedef struct KvUseWorker
{
	Oid			database;
	int			pid;			/* 0: none */
	Latch	   *latch;			/* of the process */
	TimestampTz registered_at;	/* of one that has not come yet; 0: none */
} KvUseWorker;

/* In shared memory, all zero at first. */
typedef struct KvUseWorkers
{
	LWLock		lock;			/* for all below */
	KvUseWorker worker[KV_USE_WORKERS];
} KvUseWorkers;

extern void kv_use_workers_init(KvUseWorkers *workers, int tranche);

/* Starts a worker, unless there is one or one is on its way; without one, uses stay counted. */
extern void kv_use_workers_see_to(KvUseWorkers *workers, TimestampTz now);

/* Has this database's worker look at once what there is to do. */
extern void kv_use_workers_wake(KvUseWorkers *workers);

/* This process is this database's worker until its end.  False when there is one. */
extern bool kv_use_workers_serve(KvUseWorkers *workers);

/* It is not any more; and is again, unless another process has become it meanwhile. */
extern void kv_use_workers_leave(KvUseWorkers *workers);
extern bool kv_use_workers_become(KvUseWorkers *workers);

#endif							/* KV_USE_WORKERS_H */
