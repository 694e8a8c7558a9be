/*
 * record.h
 *		A record of the audit: as bytes on its way to the worker, and as a link of the
 *		chain.
 */
#ifndef KV_AUDIT_RECORD_H
#define KV_AUDIT_RECORD_H

#include "crypto/chain_mac.h"
#include "server/audit_ring.h"
#include "store/audit_rows.h"

/*
 * Writes what backends know of a record to bytes, which has KV_AUDIT_ENTRY_MAX: all but number,
 * hash and code.  without_user says that its row shall not name the user.  How many bytes.
 */
extern Size kv_audit_record_pack(const KvAuditRow *row, bool without_user, char *bytes);

/* The other way round; texts point into bytes. */
extern void kv_audit_record_unpack(const char *bytes, KvAuditRow *row, bool *without_user);

/* The keyed hash that stands beside the user's id, or for it. */
extern void kv_audit_user_hash(KvChainMac *mac, const char *user_id,
							   uint8 hash[KV_AUDIT_HASH_BYTES]);

/* The code over a record and its predecessor's; all but the ids of user and team themselves is in it. */
extern void kv_audit_record_mac(KvChainMac *mac, const uint8 before[KV_AUDIT_MAC_BYTES],
								const KvAuditRow *row, uint8 result[KV_AUDIT_MAC_BYTES]);

/* The code over a checkpoint. */
extern void kv_audit_checkpoint_seal(KvChainMac *mac, const KvAuditCheckpoint *checkpoint,
									 uint8 seal[KV_AUDIT_MAC_BYTES]);

#endif							/* KV_AUDIT_RECORD_H */
