/*
 * looks.h
 *		What looks like a key or a token is masked in any entry of the log.
 */
#ifndef KV_REDACTION_LOOKS_H
#define KV_REDACTION_LOOKS_H

/* The first key or token in the text; false when there is none. */
extern bool kv_find_look(const char *text, Size len, Size *start, Size *found_len);

/* Masks them in place, and returns how many bytes are left. */
extern Size kv_hide_looks(char *text, Size len);

#endif							/* KV_REDACTION_LOOKS_H */
