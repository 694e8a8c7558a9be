/*
 * json_text.h
 *		JSON in one spelling, so that one value always has the same bytes.
 *
 * No white space; the members of an object in the order of their names' bytes; a
 * string with escapes only where JSON wants them: \" \\ \b \t \n \f \r, and \u00XX with
 * small letters for other control characters.  What is put is UTF-8, and no NUL; numbers
 * are the caller's to spell.
 */
#ifndef KV_JSON_TEXT_H
#define KV_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The caller's buffer and what is in it; no NUL follows. */
typedef struct KvJsonText
{
	char	   *bytes;
	size_t		size;
	size_t		len;			/* at most size */
} KvJsonText;

/* Puts bytes as they are; false, and nothing is put, when there is no room. */
extern bool kv_json_put(KvJsonText *text, const char *bytes, size_t len);

/* Puts a string with its quotes; false when there is no room, and then some of it is put. */
extern bool kv_json_put_string(KvJsonText *text, const char *string, size_t len);

/* In which order two members stand: less than, equal to or greater than 0. */
extern int	kv_json_compare_names(const char *a, size_t a_len, const char *b, size_t b_len);

#endif							/* KV_JSON_TEXT_H */
