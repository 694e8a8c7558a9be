/*
 * hint.h
 *		What is kept in the clear so that a user recognizes a key.
 */
#ifndef KV_HINT_H
#define KV_HINT_H

/*
 * The last four characters of a key that has 16 or more, palloc'd; NULL for a
 * shorter one, and when key_vault.hint is none.
 */
extern text *kv_hint(const text *api_key);

#endif							/* KV_HINT_H */
