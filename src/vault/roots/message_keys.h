/*
 * message_keys.h
 *		The keys of the messages of several rows, derived at once: for who seals row after
 *		row anew.
 */
#ifndef KV_MESSAGE_KEYS_H
#define KV_MESSAGE_KEYS_H

#include "crypto/xaes.h"
#include "store/rotation_rows.h"
#include "vault/roots/ring.h"

#define KV_MESSAGE_KEYS_MAX KV_XAES_DERIVED_MAX	/* rows */

/* In locked memory. */
typedef struct KvMessageKeys
{
	KvXaesMessageKey old_keys[KV_MESSAGE_KEYS_MAX];
	bool		is_old_key[KV_MESSAGE_KEYS_MAX];	/* else it has to be derived by itself */
	KvXaesMessageKey new_keys[KV_MESSAGE_KEYS_MAX];
} KvMessageKeys;

/* Until the context is reset, which wipes them. */
extern KvMessageKeys *kv_message_keys(MemoryContext context);

/*
 * Fills in the keys of count rows, at most KV_MESSAGE_KEYS_MAX; the new ones are derived
 * from the root key with this id.
 *
 * Errors: F0000 when it is not at hand.
 */
extern void kv_message_keys_derive(KvMessageKeys *keys, const KvRotationRow *rows, int count,
								   const uint8 root_key_id[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_MESSAGE_KEYS_H */
