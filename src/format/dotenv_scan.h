/*
 * dotenv_scan.h
 *		Characters and lines of a .env file, as its two readers know them.
 *
 * All take an offset into the text, at most its length, and look at nothing behind
 * the text's end.  Both readers take CRLF and CR for LF before they do anything else:
 * here the three stand where they stand, and each counts as one line end.
 */
#ifndef KV_DOTENV_SCAN_H
#define KV_DOTENV_SCAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct KvDotenvBytes
{
	const char *text;
	size_t		len;
} KvDotenvBytes;

/* The length of the white space at an offset, one character or CRLF; 0 for none. */
typedef size_t (*KvDotenvSpace) (const KvDotenvBytes *bytes, size_t offset);

extern size_t kv_scan_python_space(const KvDotenvBytes *bytes, size_t offset);
extern size_t kv_scan_npm_space(const KvDotenvBytes *bytes, size_t offset);

/* Behind the white space at offset: all of it, or that on this line. */
extern size_t kv_scan_skip_space(const KvDotenvBytes *bytes, size_t offset,
								 KvDotenvSpace space);
extern size_t kv_scan_skip_space_on_line(const KvDotenvBytes *bytes, size_t offset,
										 KvDotenvSpace space);

extern bool kv_scan_is_char(const KvDotenvBytes *bytes, size_t offset, char c);

/* Whether these letters stand at offset. */
extern bool kv_scan_is_word(const KvDotenvBytes *bytes, size_t offset, const char *word);

/* At a LF, a CR, or the end of the text. */
extern bool kv_scan_is_line_end(const KvDotenvBytes *bytes, size_t offset);

/* To the end of this line, in front of its LF, CRLF or CR. */
extern size_t kv_scan_find_line_end(const KvDotenvBytes *bytes, size_t offset);

/* Behind the LF, CRLF or CR that stands at offset; offset itself if none does. */
extern size_t kv_scan_skip_line_end(const KvDotenvBytes *bytes, size_t offset);

extern size_t kv_scan_count_line_ends(const KvDotenvBytes *bytes, size_t from, size_t to);

/*
 * The length of what ends a line to npm's dotenv: a LF, CRLF, CR, U+2028 or U+2029
 * at offset; 0 for none.
 */
extern size_t kv_scan_npm_line_end(const KvDotenvBytes *bytes, size_t offset);

/* The length of the byte order mark that the text starts with, or 0. */
extern size_t kv_scan_byte_order_mark(const KvDotenvBytes *bytes);

/* How many characters at offset npm's dotenv takes for a name: [A-Za-z0-9_.-]. */
extern size_t kv_scan_word_len(const KvDotenvBytes *bytes, size_t offset);

#endif							/* KV_DOTENV_SCAN_H */
