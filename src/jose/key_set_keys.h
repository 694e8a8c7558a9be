/*
 * key_set_keys.h
 *		The keys in a set, for those of this room that verify with them.
 */
#ifndef KV_JOSE_KEY_SET_KEYS_H
#define KV_JOSE_KEY_SET_KEYS_H

#include "key.h"
#include "key_set.h"

/* The key of that id, of len bytes; NULL when there is none. */
extern const KvKey *kv_key_set_find(const KvKeySet *set, const char *id, size_t len);

/* The index-th key, from 0 to kv_key_set_count() - 1. */
extern const KvKey *kv_key_set_key(const KvKeySet *set, size_t index);

#endif							/* KV_JOSE_KEY_SET_KEYS_H */
