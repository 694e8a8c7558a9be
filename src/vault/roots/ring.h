/*
 * ring.h
 *		A set of root keys in locked memory, made from the text of a keyring.
 */
#ifndef KV_RING_H
#define KV_RING_H

#include "crypto/root_key.h"
#include "crypto/xaes.h"
#include "format/keyring_text.h"

/* In locked memory. */
typedef struct KvRootKey
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	KvXaesKey	key;
	int64		created_at;		/* seconds since 1970-01-01 00:00 UTC */
	KvKeyringMaker maker;		/* if the keyring tells */
} KvRootKey;

typedef struct KvRing
{
	KvRootKey  *keys;			/* sorted by id; NULL when freed */
	Size		allocated;
	int			count;
} KvRing;

/*
 * Makes a ring, which may turn out to hold no root key.  The caller frees it.  Every
 * id must belong to its root key.  source tells in messages where the text is from.
 *
 * Errors: F0000 naming source and line; nothing is left behind then.
 */
extern KvRing kv_ring_parse(const char *text, Size len, const char *source);

/* NULL when the ring does not hold the root key. */
extern const KvRootKey *kv_ring_find(const KvRing *ring,
									 const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* Wipes and frees.  Freeing an empty one is allowed. */
extern void kv_ring_free(KvRing *ring);

#endif							/* KV_RING_H */
