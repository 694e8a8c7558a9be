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

/*
 * The next names, at most limit of them, whose current version expired before a
 * time: those after *after, or from the first when after is NULL.  The answer is
 * the length of *names, which is palloc'd.
 */
extern int	kv_purge_rows_next(TimestampTz expired_before,
							   const KvSecretName *after, int limit,
							   KvSecretName **names);

/*
 * Removes all versions under these names, or none of a name: not when one is locked, or
 * the current one did not expire before that time after all.  Never waits for a
 * row.  Calls check for each one removed, and returns how many those are.
 */
extern uint64 kv_purge_rows_delete(TimestampTz expired_before,
								   const KvSecretName *names, int count,
								   void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns));

/*
 * How many of these names are there still, and have expired before that time; adds who
 * keeps their rows.
 */
extern int	kv_purge_rows_left(TimestampTz expired_before,
							   const KvSecretName *names, int count,
							   KvRowHolders *holders);

#endif							/* KV_PURGE_ROWS_H */
