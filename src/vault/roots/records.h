/*
 * records.h
 *		Between a row of key_vault_data.sealed_records and what is in it.
 */
#ifndef KV_RECORDS_H
#define KV_RECORDS_H

#include "store/record_rows.h"

#define KV_RECORD_MAX (256 * 1024)	/* bytes of plaintext */

/*
 * Seals a record with the active root key, and writes it, in the place of the one of its
 * kind and name.  The caller wipes the plaintext.
 *
 * Errors: F0000 without an active root key at hand; 22021 or 22P05 for a name that has no
 * UTF-8 form.
 */
extern void kv_record_write(const char *kind, const char *name,
							const uint8 *plaintext, Size len);

/*
 * Opens a record: its plaintext in locked memory, which the caller gives back by
 * kv_record_close(), on every way out.
 *
 * Errors: XX001 when it does not open; F0000 when its root key is not at hand.
 */
extern uint8 *kv_record_open(const KvRecordRow *row, Size *len);
extern void kv_record_close(uint8 *plaintext, Size len);

/* The same, but NULL and why, a clause without a full stop, instead of XX001. */
extern uint8 *kv_record_try_open(const KvRecordRow *row, Size *len, const char **why);

/*
 * Seals all records anew that another root key sealed; a WARNING for one that does not
 * open.  Returns how many are left because others have them locked.  The lock of
 * kv_secret_rows_lock_for_write() is held.
 */
extern int64 kv_records_reseal(const uint8 root_key_id[KV_ROOT_KEY_ID_HEX / 2]);

#endif							/* KV_RECORDS_H */
