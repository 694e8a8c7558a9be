/*
 * base64.h
 *		Base64 of a 32-byte key: RFC 4648 section 4, canonical only.
 *
 * Neither direction branches on, or indexes with, what the key holds.
 */
#ifndef KV_BASE64_H
#define KV_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_BASE64_KEY_LEN	44	/* base64 digits of 32 bytes, with padding */

/* Writes 44 characters, no NUL. */
extern void kv_base64_encode_key(const uint8_t key[static 32],
								 char text[static KV_BASE64_KEY_LEN]);

/*
 * Reads len characters.  False, and key all zero, unless they are exactly what
 * kv_base64_encode_key would write.
 */
extern bool kv_base64_decode_key(const char *text, size_t len,
								 uint8_t key[static 32]);

#endif							/* KV_BASE64_H */
