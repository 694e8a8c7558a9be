/*
 * chain_key.h
 *		The key that chains the audit's records, between its row and memory.
 */
#ifndef KV_CHAIN_KEY_H
#define KV_CHAIN_KEY_H

#include "crypto/chain_mac.h"
#include "store/audit_rows.h"
#include "vault/roots/keyring.h"

/*
 * The chain key in a row, which is not discarded, ready for use; the caller frees it with kv_chain_mac_free().
 * NULL and why, a clause without a full stop, when the row does not open.
 *
 * Errors: F0000 when there is no keyring at all.
 */
extern KvChainMac *kv_chain_key_open(const KvAuditKeyRow *row, const char **why);

/*
 * Makes a chain key for the records from first_number on, and stores it in *row, sealed with
 * the active root key.  Errors: F0000 when there is none.
 */
extern KvChainMac *kv_chain_key_create(int64 first_number, KvAuditKeyRow *row);

/*
 * Re-seals what other root keys sealed, and stores it.  The lock on secrets is held, and the
 * root key is the active one.  What does not open is left as it is, with a WARNING.
 */
extern void kv_chain_keys_reseal(const uint8 root_key_id[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_CHAIN_KEY_H */
