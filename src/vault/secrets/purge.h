/*
 * purge.h
 *		Removing what expired long ago.
 */
#ifndef KV_PURGE_H
#define KV_PURGE_H

/*
 * Removes every version of each secret whose current version expired longer ago than
 * key_vault.purge_after, in batches, each a transaction of its own; a NOTICE says how
 * many that were.  procedure is the one that is running; it was not called inside
 * a transaction block.
 *
 * Errors: 25006 in a read-only transaction; 55006 when another session is at it.
 * Batches before an error stay.
 */
extern void kv_purge_run(Oid procedure, int batch_size);

#endif							/* KV_PURGE_H */
