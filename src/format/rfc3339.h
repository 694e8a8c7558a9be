/*
 * rfc3339.h
 *		Times as RFC 3339 text, to the second.
 */
#ifndef KV_RFC3339_H
#define KV_RFC3339_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_RFC3339_LEN	20		/* "2026-01-31T23:59:59Z" */

/*
 * Reads len characters, all of them, as seconds since 1970-01-01 00:00 UTC.  A
 * fraction is read and dropped.  False when a field is missing or out of range, also
 * for a leap second, and for lowercase t and z.
 */
extern bool kv_rfc3339_parse(const char *text, size_t len, int64_t *seconds);

/* Writes 20 characters, no NUL.  False unless it is in the years 0 to 9999. */
extern bool kv_rfc3339_format(int64_t seconds, char text[static KV_RFC3339_LEN]);

#endif							/* KV_RFC3339_H */
