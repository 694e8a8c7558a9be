/*
 * root_key_rows.h
 *		The rows of key_vault_data.root_key_registry: which root keys this database
 *		registered, and which one is active.
 *
 * Reading looks at the latest committed rows and at what this transaction did
 * itself, at every isolation level, with nobody's rights: whoever may call a
 * function of ours may know the ids.  Writing runs as the extension's owner.
 */
#ifndef KV_ROOT_KEY_ROWS_H
#define KV_ROOT_KEY_ROWS_H

#include "datatype/timestamp.h"

#define KV_ROOT_KEY_ROW_ID_LEN 8

typedef struct KvRootKeyRow
{
	uint8		id[KV_ROOT_KEY_ROW_ID_LEN];
	TimestampTz created_at;
	TimestampTz activated_at;	/* DT_NOBEGIN: never */
	bool		is_retired;
	bool		is_own_change;	/* as it is, nobody else sees it yet */
} KvRootKeyRow;

/* Registers the callback that drops what is cached; once a process. */
extern void kv_root_key_rows_init(void);

/* All rows, in no order, in the current memory context. */
extern KvRootKeyRow *kv_root_key_rows_read(int *count);

/* Of these rows the active one: not retired, activated last; or NULL. */
extern const KvRootKeyRow *kv_root_key_rows_active(const KvRootKeyRow *rows, int count);

/*
 * The id of the active root key.  False when no root key is active.  Whoever goes on to
 * seal with it holds the lock on secrets before asking.
 */
extern bool kv_root_key_row_active(uint8 id[KV_ROOT_KEY_ROW_ID_LEN]);

/*
 * Whether this database registered a root key, be it retired or not.  From memory
 * when it did; the rows are read again before the answer is no.
 */
extern bool kv_root_key_row_registered(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN]);

/* Keeps everybody else from changing the rows until the transaction ends. */
extern void kv_root_key_rows_lock(void);

/* Adds a row.  The lock is held, and the id is not there yet. */
extern void kv_root_key_row_insert(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN],
								   TimestampTz created_at);

/* Makes the root key of a row the active one.  The lock is held. */
extern void kv_root_key_row_activate(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN]);

/* Marks a row as retired.  The lock is held. */
extern void kv_root_key_row_retire(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN]);

/*
 * Waits for all who may be sealing with a root key, which is not the active one any
 * more, then counts the secrets and records that it seals.
 */
extern int64 kv_root_key_count_secrets(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN]);

/* Whether this server has replicas, connected or expected to come back. */
extern bool kv_root_key_rows_have_replicas(void);

#endif							/* KV_ROOT_KEY_ROWS_H */
