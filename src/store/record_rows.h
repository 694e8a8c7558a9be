/*
 * record_rows.h
 *		The rows of key_vault_data.sealed_records: what is sealed with a root key and is no
 *		API key, such as the issuers of tokens.
 *
 * Reading looks at the latest committed rows and at what this transaction did itself, at
 * every isolation level, with nobody's rights.  Writing runs as the extension's owner.
 * SPI need not be connected.
 */
#ifndef KV_RECORD_ROWS_H
#define KV_RECORD_ROWS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "store/secret_rows.h"

/* The kinds there are; what is in a record is known to who made it. */
#define KV_RECORD_ISSUER "issuer"
#define KV_RECORD_HASH_KEY "hash key"

typedef struct KvRecordRow
{
	char	   *kind;
	char	   *name;			/* one of its kind; 1 to 255 bytes */
	char		root_key_id[KV_ROOT_KEY_ID_HEX + 1];
	bytea	   *sealed;
} KvRecordRow;

/* Registers the callback that counts changes; once a process. */
extern void kv_record_rows_init(void);

/*
 * Grows when a row may have changed, once invalidation messages were accepted.  Whoever
 * keeps what was in a row notes it before reading.
 */
extern uint64 kv_record_rows_changes(void);

/* One row, in the current memory context; false when there is none. */
extern bool kv_record_row_find(const char *kind, const char *name, KvRecordRow *row);

/* All rows of one kind, or of all kinds for NULL: a list of KvRecordRow, by kind and name. */
extern List *kv_record_rows_read(const char *kind);

/* Adds a row, or puts it in the place of the one of this kind and name. */
extern void kv_record_row_put(const KvRecordRow *row);

/* Removes a row; false when there was none. */
extern bool kv_record_row_delete(const char *kind, const char *name);

/*
 * Those that are sealed with another root key, which nobody keeps locked: they are locked
 * now.  *left: how many others there are.
 */
extern List *kv_record_rows_to_reseal(const char *root_key_id, int64 *left);

/* Removes those that a root key sealed; how many. */
extern uint64 kv_record_rows_delete_sealed_with(const char *root_key_id);

#endif							/* KV_RECORD_ROWS_H */
