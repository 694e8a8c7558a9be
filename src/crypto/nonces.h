/*
 * nonces.h
 *		Random nonces, each given out once.
 */
#ifndef KV_NONCES_H
#define KV_NONCES_H

#include "xaes.h"

/*
 * Writes a fresh nonce.  After a fork, parent and child get different ones.
 *
 * Returns KV_OK or KV_CRYPTO_FAILURE, and nonce is then all zero.
 */
extern KV_MUST_CHECK KvStatus kv_nonce_take(uint8_t nonce[static KV_XAES_NONCE_LEN]);

#endif							/* KV_NONCES_H */
