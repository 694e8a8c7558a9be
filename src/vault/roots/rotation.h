/*
 * rotation.h
 *		Re-sealing with the active root key all that others sealed.
 */
#ifndef KV_ROTATION_H
#define KV_ROTATION_H

/*
 * Re-seals in batches, each a transaction of its own.  procedure is the one that is
 * running; it was not called inside a transaction block.
 *
 * What does not open is left as it is, a WARNING each.  NOTICEs and the view
 * key_vault.rotation_progress tell how far it is.
 *
 * Errors: 25006 in a read-only transaction; 55006 when another session is at it; F0000
 * when no root key is active or the active one is not at hand.  Batches before an
 * error stay.
 */
extern void kv_rotation_run(Oid procedure, int batch_size);

#endif							/* KV_ROTATION_H */
