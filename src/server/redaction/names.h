/*
 * names.h
 *		Which texts carry secrets, by what they name.
 */
#ifndef KV_REDACTION_NAMES_H
#define KV_REDACTION_NAMES_H

#include "utils/guc.h"

/* Hooks of the setting key_vault.redact_names. */
extern bool kv_redact_names_check(char **newval, void **extra, GucSource source);
extern void kv_redact_names_assign(const char *newval, void *extra);

/*
 * Whether the text names a function of ours that takes a secret, something of
 * key_vault.redact_names, or executes a prepared statement that does.  Looks up no
 * catalog and throws nothing.
 */
extern bool kv_text_carries_secrets(const char *text, Size len);

/* The same of the running statement's text, which is asked for time and again. */
extern bool kv_statement_text_carries_secrets(const char *text, Size len);

/*
 * Whether all secrets of such a text are bound: it names ours and nothing else, and has a
 * parameter for each.
 */
extern bool kv_text_binds_secrets(const char *text, Size len);

/* To be told of each text that does and may be prepared. */
extern void kv_note_prepared_text(void);

#endif							/* KV_REDACTION_NAMES_H */
