/*
 * nonces.h
 *		Random nonces, each given out once.
 */
#ifndef KV_NONCES_H
#define KV_NONCES_H

#include "xaes.h"

#define KV_NONCES_MAX	64		/* so many at once */

/*
 * Writes count fresh nonces.  After a fork, parent and child get different ones.
 *
 * Returns KV_OK; KV_TOO_LARGE; KV_CRYPTO_FAILURE, and the nonces must not be used.
 */
extern KV_MUST_CHECK KvStatus kv_nonces_take(uint8_t (*nonces)[KV_XAES_NONCE_LEN], size_t count);

#endif							/* KV_NONCES_H */
