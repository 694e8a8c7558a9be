/*
 * revocation_rows.h
 *		The rows of key_vault_data.revocations: since when whose tokens are refused.
 *
 * Reading looks at the latest committed rows and at what this transaction did itself, at
 * every isolation level, with nobody's rights.  Writing runs as the extension's owner,
 * and never waits for another session.  SPI need not be connected.
 */
#ifndef KV_REVOCATION_ROWS_H
#define KV_REVOCATION_ROWS_H

#include "datatype/timestamp.h"

#define KV_USER_HASH_LEN 32

/* Registers the callback that counts changes; once a process. */
extern void kv_revocation_rows_init(void);

/* As kv_record_rows_changes(). */
extern uint64 kv_revocation_rows_changes(void);

/* The latest time before which tokens of a user were revoked; DT_NOBEGIN for never. */
extern TimestampTz kv_revocation_rows_latest(const uint8 user_hash[KV_USER_HASH_LEN]);

/* Whether there are any rows. */
extern bool kv_revocation_rows_exist(void);

/* Adds a row, and removes those of this user that it makes superfluous. */
extern void kv_revocation_row_add(const uint8 user_hash[KV_USER_HASH_LEN],
								  TimestampTz issued_before);

/* Removes those that refuse nothing issued later than a time; how many. */
extern uint64 kv_revocation_rows_purge(TimestampTz issued_before);

/* Removes all. */
extern uint64 kv_revocation_rows_delete(void);

#endif							/* KV_REVOCATION_ROWS_H */
