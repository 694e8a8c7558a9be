/*
 * looks.h
 *		What looks like a key or a token is masked in any entry of the log.
 */
#ifndef KV_REDACTION_LOOKS_H
#define KV_REDACTION_LOOKS_H

/* Whether there is a key or a token in the text. */
extern bool kv_has_look(const char *text, Size len);

/* Masks them in place, and returns how many bytes are left. */
extern Size kv_hide_looks(char *text, Size len);

#endif							/* KV_REDACTION_LOOKS_H */
