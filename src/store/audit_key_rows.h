/*
 * audit_key_rows.h
 *		The rows that say under which key the audit's records are chained, and from where
 *		on.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_AUDIT_KEY_ROWS_H
#define KV_AUDIT_KEY_ROWS_H

#include "datatype/timestamp.h"

#define KV_AUDIT_MAC_BYTES 32
#define KV_AUDIT_ROOT_KEY_HEX 16

/* A chain key, sealed: that of the records from first_number on, up to the next one's. */
typedef struct KvAuditKeyRow
{
	int64		first_number;
	char		root_key_id[KV_AUDIT_ROOT_KEY_HEX + 1];
	bytea	   *sealed;			/* NULL: it was discarded */
} KvAuditKeyRow;

/* What purge() left of the records that it removed, coded with their chain key. */
typedef struct KvAuditCheckpoint
{
	int64		number;			/* of the last one */
	TimestampTz at;
	uint8		mac[KV_AUDIT_MAC_BYTES];
	uint8		seal[KV_AUDIT_MAC_BYTES];
} KvAuditCheckpoint;

/* All chain keys, the oldest first. */
extern int	kv_audit_keys_read(KvAuditKeyRow **keys);

/* The latest one; false when there is none. */
extern bool kv_audit_key_last(KvAuditKeyRow *key);

extern void kv_audit_key_insert(const KvAuditKeyRow *key);
extern void kv_audit_key_update(const KvAuditKeyRow *key);

/* Discards those that a lost root key sealed; how many.  Where they began stays known. */
extern uint64 kv_audit_keys_discard(const char *root_key_id);

/* False when there is none. */
extern bool kv_audit_checkpoint_read(KvAuditCheckpoint *checkpoint);

/* Keeps a checkpoint in place of the one before. */
extern void kv_audit_checkpoint_store(const KvAuditCheckpoint *checkpoint);

#endif							/* KV_AUDIT_KEY_ROWS_H */
