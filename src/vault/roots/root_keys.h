/*
 * root_keys.h
 *		Making, activating and retiring root keys.
 *
 * ids are text of 16 hex digits; 22023 for anything else.  All of these are 25006
 * in a read-only transaction, before anything is touched.
 */
#ifndef KV_ROOT_KEYS_H
#define KV_ROOT_KEYS_H

/*
 * Adds a new root key to the keyring's file and registers it; returns its id.  It
 * becomes active when none is.  Rolling back leaves it in the file, where it does no
 * harm, and a call within the hour takes it instead of making another one.
 *
 * Errors: F0000 when the keyring is not a file, cannot be read or written, or lacks
 * a root key that this database registered and did not retire.
 */
extern text *kv_root_key_create(void);

/*
 * Makes a root key of the keyring the one that seals from now on.
 *
 * Errors: F0000 when it is not in the keyring; 55000 when it is retired.
 */
extern void kv_root_key_activate(const text *id);

/*
 * Marks a root key as out of use.
 *
 * Errors: 42704 when this database did not register it; 55000 when it is active, or
 * seals anything.
 */
extern void kv_root_key_retire(const text *id);

/* Whether the keyring holds a root key; a WARNING when that cannot be known. */
extern bool kv_root_key_in_ring(const text *id, bool *is_known);

#endif							/* KV_ROOT_KEYS_H */
