/*
 * discard.h
 *		Giving up what a lost root key sealed.
 */
#ifndef KV_DISCARD_H
#define KV_DISCARD_H

/*
 * Removes, in batches, each a transaction of its own, what the root key sealed, and
 * older versions of that: an older key must not become current by it.  A NOTICE says
 * how many secrets that were, a WARNING how many others kept from it, and who.  It is
 * not called inside a transaction block.
 *
 * Errors: 42501 unless the caller is a superuser; 22023 for what is no id; 42704 for a
 * root key that this database did not register and that seals nothing; 25006 in a
 * read-only transaction; 55006 when another session is at it; 55000 when the keyring
 * holds the root key, and F0000 when it cannot be read, which is tried before each
 * batch.  Batches before an error stay.
 */
extern void kv_discard_run(const text *id, int batch_size);

#endif							/* KV_DISCARD_H */
