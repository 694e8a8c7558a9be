/*
 * root_key_id.h
 *		The id of a root key, as SQL has it: text of 16 hex digits.
 */
#ifndef KV_ROOT_KEY_ID_H
#define KV_ROOT_KEY_ID_H

#include "crypto/root_key.h"

/* Errors: 22023 for anything else. */
extern void kv_root_key_id_from_text(const text *id, uint8 result[KV_ROOT_KEY_ID_LEN]);

/* For messages, palloc'd. */
extern const char *kv_root_key_id_spelled(const uint8 id[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_ROOT_KEY_ID_H */
