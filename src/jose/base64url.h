/*
 * base64url.h
 *		Base64url without padding, canonical only: RFC 4648 section 5, RFC 7515 section 2.
 */
#ifndef KV_JOSE_BASE64URL_H
#define KV_JOSE_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes len characters are, when they are base64url. */
#define KV_BASE64URL_BYTES(len)	((len) / 4 * 3 + ((len) % 4 == 0 ? 0 : (len) % 4 - 1))

/*
 * Reads len characters and writes KV_BASE64URL_BYTES(len) bytes.
 *
 * False unless every character is of the alphabet, the length is possible, and the bits
 * to spare in the last character are zero, so that no bytes have a second spelling.
 * Part of bytes may have been written then.
 */
extern bool kv_base64url_decode(const char *text, size_t len, uint8_t *bytes);

#endif							/* KV_JOSE_BASE64URL_H */
