/*
 * rsa_key.h
 *		Whether the numbers of a public RSA key are sound.
 */
#ifndef KV_JOSE_RSA_KEY_H
#define KV_JOSE_RSA_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "status.h"

/*
 * Looks at a modulus and an exponent, big endian.  *modulus_len is how many bytes the
 * modulus has without leading zeros, which is how many a signature has.
 *
 * Returns KV_KEYS_OK, KV_KEYS_SHORT_RSA, KV_KEYS_EXPONENT, KV_KEYS_VALUE for an even
 * modulus, KV_KEYS_ROCA, KV_KEYS_NO_MEMORY.
 */
extern KV_MUST_CHECK KvKeySetFault kv_rsa_key_check(const uint8_t *modulus, size_t len,
													const uint8_t *exponent, size_t exponent_len,
													size_t *modulus_len);

#endif							/* KV_JOSE_RSA_KEY_H */
