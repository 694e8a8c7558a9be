/*
 * keyring_text.h
 *		The keyring as text: one root key a line.
 *
 *		<id, 16 hex digits> <base64 of 32 bytes> <time>  [# comment]
 *
 * Fields are separated by spaces and tabs.  Blank lines and lines that start with
 * # are skipped.  Lines end with LF or CRLF; the last one may lack its end.  UTF-8's
 * byte order mark may come first.  The id's digits are lowercase; base64 is canonical
 * (RFC 4648, padded, no stray bits); the time is RFC 3339, "2026-01-31T23:59:59Z",
 * where a fraction of a second and a numeric offset are understood.  A leap second
 * is not.
 *
 * A comment of ours ends with who made the root key: [<cluster>/<database>/<extension>],
 * three numbers.  Any other comment tells nothing, and is no error.
 *
 * Whether an id belongs to its key is for the caller to check: see
 * crypto/root_key.h.
 */
#ifndef KV_KEYRING_TEXT_H
#define KV_KEYRING_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Who made a root key, by numbers that a change of name does not change. */
typedef struct KvKeyringMaker
{
	uint64_t	cluster;		/* 0: the line does not tell, and all are 0 */
	uint32_t	database;
	uint32_t	extension;		/* as it was installed there then */
} KvKeyringMaker;

typedef struct KvKeyringEntry
{
	uint8_t		id[8];
	uint8_t		key[32];		/* secret */
	int64_t		created_at;		/* seconds since 1970-01-01 00:00 UTC */
	KvKeyringMaker maker;
	size_t		line;			/* where it stands, from 1; not written */
} KvKeyringEntry;

/* An upper bound of how many entries len bytes of text can hold: its lines. */
extern size_t kv_keyring_max_entries(const char *text, size_t len);

/*
 * Reads len bytes of text, which needs no NUL, into entries, in their order.  The
 * caller owns entries, with room for capacity of them, and wipes them.  *line is
 * set to the line of an error, from 1, and otherwise to 0.
 *
 * Returns KV_OK; KV_SYNTAX for a line of another form, also a NUL byte or a bare
 * CR; KV_BAD_KEY; KV_BAD_TIME; KV_DUPLICATE when an id stands there twice, the
 * line being a later one's; KV_TOO_LARGE when there are more than capacity;
 * KV_NO_MEMORY.  Unless it is KV_OK, *count is 0 and entries are wiped.
 */
extern KV_MUST_CHECK KvStatus
			kv_keyring_parse(const char *text, size_t len,
							 KvKeyringEntry *entries, size_t capacity,
							 size_t *count, size_t *line);

/*
 * Writes one line, with LF and a NUL, to out.  *len counts the LF, not the NUL.
 * The caller owns out, and wipes it.  comment may be NULL; control characters in it
 * become '?', so that it can never begin a line.  A maker that is known comes after it.
 *
 * Returns KV_OK; KV_TOO_LARGE when size does not do, and KV_BAD_TIME when
 * created_at is not in the years 0 to 9999: *len is then 0, and nothing is written.
 */
extern KV_MUST_CHECK KvStatus
			kv_keyring_format_line(const KvKeyringEntry *entry, const char *comment,
								   char *out, size_t size, size_t *len);

#endif							/* KV_KEYRING_TEXT_H */
