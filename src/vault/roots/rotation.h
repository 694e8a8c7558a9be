/*
 * rotation.h
 *		Re-sealing with the active root key all that others sealed, and without a
 *		hint what has one, when key_vault.hint is none.
 */
#ifndef KV_ROTATION_H
#define KV_ROTATION_H

/*
 * Re-seals in batches, each a transaction of its own.  The call is not inside a
 * transaction block.
 *
 * What does not open is left as it is, a WARNING each.  What others keep locked is
 * waited for ten seconds in all, and then left; a WARNING says by whom.  NOTICEs
 * and the view key_vault.rotation_progress tell how far it is.
 *
 * Errors: 25006 in a read-only transaction; 55006 when another session is at it; F0000
 * when no root key is active or the active one is not at hand.  Batches before an
 * error stay.
 */
extern void kv_rotation_run(int batch_size);

#endif							/* KV_ROTATION_H */
