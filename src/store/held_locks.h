/*
 * held_locks.h
 *		Opens for reading what this transaction may have open already.
 */
#ifndef KV_HELD_LOCKS_H
#define KV_HELD_LOCKS_H

#include "utils/relcache.h"

/* Registers the callback that forgets what a subtransaction gave up; once a process. */
extern void kv_held_locks_init(void);

/*
 * table_open() and index_open() with AccessShareLock, which stays to the end of the
 * transaction: close with NoLock.  It is asked for once: to ask again for a lock that
 * is held costs as much as to find the relation.  Which is found once, too, until it changes.
 */
extern Relation kv_table_open_to_read(Oid table);
extern Relation kv_index_open_to_read(Oid index);

#endif							/* KV_HELD_LOCKS_H */
