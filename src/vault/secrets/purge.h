/*
 * purge.h
 *		What expires soon, and removing what expired long ago.
 */
#ifndef KV_PURGE_H
#define KV_PURGE_H

#include "funcapi.h"
#include "utils/timestamp.h"

/* Puts what will expire within that time into a function's result, of all users. */
extern void kv_purge_report_expiring(const Interval *within, Tuplestorestate *result);

/*
 * Removes every version of each secret whose current version expired longer ago than
 * key_vault.purge_after, in batches, each a transaction of its own; a NOTICE says how
 * many that were.  Never waits for a row: a secret that somebody has locked stays, and a
 * WARNING says who that is.  The call is not inside a transaction block.
 *
 * Errors: 25006 in a read-only transaction; 55006 when another session is at it.
 * Batches before an error stay.
 */
extern void kv_purge_run(int batch_size);

#endif							/* KV_PURGE_H */
