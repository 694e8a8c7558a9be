/*
 * encoding.h
 *		Between the database's encoding and UTF-8, without a word about what
 *		could not be converted: the server's own message would quote its bytes.
 */
#ifndef KV_ENCODING_H
#define KV_ENCODING_H

#include "server/compat.h"

#define KV_ENCODING_HINT "Use a database with encoding UTF8."

/*
 * Converts len bytes.  Returns src itself when nothing changes, else a palloc'd
 * string that the caller wipes; *converted_len is its length.  The encodings
 * are UTF-8 and the database's, in the one direction or the other.
 *
 * Errors: 22021 or 22P05 when a character has no equivalent.
 */
extern const char *kv_to_utf8(const char *src, int len, int *converted_len);
extern const char *kv_from_utf8(const char *src, int len, int *converted_len);

/* The same, but NULL when a character has no equivalent. */
extern const char *kv_try_to_utf8(const char *src, int len, int *converted_len);
extern const char *kv_try_from_utf8(const char *src, int len, int *converted_len);

/* Says that a character has no UTF-8 form.  Errors: 22021 or 22P05. */
pg_noreturn extern void kv_report_no_utf8(void);

#endif							/* KV_ENCODING_H */
