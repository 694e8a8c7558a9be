/*
 * dotenv_scan.h
 *		Characters and lines of a .env file, for dotenv_read.c.
 *
 * All take an offset into the reader's text, at most its length, and look at
 * nothing behind the text's end.
 */
#ifndef KV_DOTENV_SCAN_H
#define KV_DOTENV_SCAN_H

#include "dotenv.h"

/*
 * The length of the white space character at offset, or 0.  These are the ones
 * that both libraries skip.
 */
extern size_t kv_scan_blank_at(const KvDotenvReader *reader, size_t offset);

/* Behind the white space at offset, on this line. */
extern size_t kv_scan_skip_blanks(const KvDotenvReader *reader, size_t offset);

extern bool kv_scan_is_char(const KvDotenvReader *reader, size_t offset, char c);
extern bool kv_scan_is_quote(const KvDotenvReader *reader, size_t offset);

/* At a LF, a CR, or the end of the text. */
extern bool kv_scan_is_line_end(const KvDotenvReader *reader, size_t offset);

/* To the end of this line, in front of its LF, CRLF or CR. */
extern size_t kv_scan_find_line_end(const KvDotenvReader *reader, size_t offset);

/* Behind the LF, CRLF or CR that stands at offset; offset itself if none does. */
extern size_t kv_scan_skip_line_end(const KvDotenvReader *reader, size_t offset);

extern size_t kv_scan_count_line_ends(const KvDotenvReader *reader,
									  size_t from, size_t to);

/*
 * Whether there is U+2028 or U+2029, where npm's dotenv ends lines; or U+FEFF,
 * which is white space to npm's dotenv only; or one of U+001C to U+001F and
 * U+0085, which are white space to python-dotenv only.
 */
extern bool kv_scan_has_odd_space(const KvDotenvReader *reader, size_t from, size_t to);

/* How many of the len characters at offset npm's dotenv would take for a name. */
extern size_t kv_scan_word_len(const KvDotenvReader *reader, size_t offset, size_t len);

extern bool kv_scan_is_printable_ascii(const KvDotenvReader *reader,
									   size_t offset, size_t len);

#endif							/* KV_DOTENV_SCAN_H */
