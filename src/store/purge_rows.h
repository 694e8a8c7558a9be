/*
 * purge_rows.h
 *		Secrets of many users whose current version expired long ago, for removal
 *		in batches.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_PURGE_ROWS_H
#define KV_PURGE_ROWS_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "store/row_holders.h"
#include "store/secret_rows.h"

/* A secret, and when its current version expired. */
typedef struct KvExpired
{
	TimestampTz expires_at;
	KvSecretName name;
} KvExpired;

/*
 * The next secrets, at most limit of them, whose current version expired before a
 * time, in the order in which they expired: those after *after, or from the first
 * when after is NULL.  The answer is the length of *expired, which is palloc'd.
 */
extern int	kv_purge_rows_next(TimestampTz expired_before, const KvExpired *after,
							   int limit, KvExpired **expired);

/*
 * Removes all versions of these secrets, or none of one: not when one is locked, or
 * the current one did not expire before that time after all.  Never waits for a
 * row.  Calls check for each one removed, and returns how many those are.
 */
extern uint64 kv_purge_rows_delete(TimestampTz expired_before,
								   const KvExpired *expired, int count,
								   void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns));

/*
 * How many of these secrets are there still, and have expired before that time; adds who
 * keeps their rows.
 */
extern int	kv_purge_rows_left(TimestampTz expired_before,
							   const KvExpired *expired, int count,
							   KvRowHolders *holders);

#endif							/* KV_PURGE_ROWS_H */
