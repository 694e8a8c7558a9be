/*
 * discard_rows.h
 *		Secrets that a root key sealed, for removal in batches.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_DISCARD_ROWS_H
#define KV_DISCARD_ROWS_H

#include "store/secret_names.h"

/* How many rows the root key sealed. */
extern int64 kv_discard_rows_count(const char *root_key_id);

/*
 * The next names, at most limit of them, of which the root key sealed a version: those
 * after *after, or from the first when after is NULL.  The answer is the length of
 * *names, which is palloc'd.
 */
extern int	kv_discard_rows_next(const char *root_key_id, const KvSecretName *after,
								 int limit, KvSecretName **names);

/*
 * Removes the versions under these names that the root key sealed, and where that one
 * is the current version, all versions: an older one would become current.  None of a
 * name of which a row is locked: never waits for one.  Calls check for each one removed,
 * and returns how many those are.
 */
extern uint64 kv_discard_rows_delete(const char *root_key_id,
									 const KvSecretName *names, int count,
									 void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns));

/* How many of those are still there, and who keeps them. */
extern int	kv_discard_rows_left(const char *root_key_id,
								 const KvSecretName *names, int count,
								 KvRowHolders *holders);

#endif							/* KV_DISCARD_ROWS_H */
