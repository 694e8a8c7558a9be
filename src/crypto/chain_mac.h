/*
 * chain_mac.h
 *		The codes that chain the audit's records: HMAC-SHA-256 under one chain key.
 *
 * What is coded is a sequence of fields behind a domain tag, each in front of a byte 1
 * and a 32-bit big-endian length; an absent one is a byte 0.  So no two sequences of as
 * many fields are the same bytes.
 */
#ifndef KV_CHAIN_MAC_H
#define KV_CHAIN_MAC_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KV_CHAIN_KEY_LEN	32
#define KV_CHAIN_MAC_LEN	32

/* A chain key, ready for use: libcrypto's memory, not locked. */
typedef struct KvChainMac KvChainMac;

/* Bytes of somebody else; data is NULL for an absent field. */
typedef struct KvChainField
{
	const void *data;
	size_t		len;
} KvChainField;

/* Fills key with random bytes.  Returns KV_OK; KV_CRYPTO_FAILURE, and key is all zero. */
extern KV_MUST_CHECK KvStatus kv_chain_key_random(uint8_t key[static KV_CHAIN_KEY_LEN]);

/* For kv_chain_mac_free(), or NULL when libcrypto or malloc refuses.  key may be wiped. */
extern KvChainMac *kv_chain_mac_new(const uint8_t key[static KV_CHAIN_KEY_LEN]);

/* Wipes and frees.  NULL is allowed. */
extern void kv_chain_mac_free(KvChainMac *mac);

/*
 * The code of count fields, of which none is longer than 4 GiB.  out may be one of them.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE, and out is all zero.
 */
extern KV_MUST_CHECK KvStatus kv_chain_mac(KvChainMac *mac, const char *tag,
										   const KvChainField *fields, size_t count,
										   uint8_t out[static KV_CHAIN_MAC_LEN]);

#endif							/* KV_CHAIN_MAC_H */
