/*
 * keyring_change.h
 *		Adding a root key to the keyring's file: the one place that writes it.
 */
#ifndef KV_KEYRING_CHANGE_H
#define KV_KEYRING_CHANGE_H

#include "crypto/root_key.h"
#include "datatype/timestamp.h"

/*
 * Puts a new root key into the file, or takes one that a call in this database put
 * there in the last hour and that the database does not know: it was rolled
 * back, or cut short.  Fills in its id, and returns when it was made.  The registry is
 * locked, so that no such call is under way.
 *
 * Errors: F0000 when the file cannot be read or written, or lacks a root key that this
 * database registered and did not retire.
 */
extern TimestampTz kv_keyring_add_root_key(uint8 id[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_KEYRING_CHANGE_H */
