/*
 * statement.h
 *		The statement that this process runs, as the server shows it.
 *
 * That is debug_query_string, which the log quotes, and the text in
 * pg_stat_activity.  Of a statement that carries secrets, both are replaced by its text
 * without literals.  Nothing here throws or looks up a catalog.
 */
#ifndef KV_REDACTION_STATEMENT_H
#define KV_REDACTION_STATEMENT_H

#include "format/known_values.h"

/*
 * Looks at the running statement, and replaces its text if it carries secrets.  Cheap
 * when it has been looked at already.  True when it does carry secrets.
 */
extern bool kv_statement_look(void);

/* The running statement carries a secret, whatever it names. */
extern void kv_statement_carries_secret(void);

/* Masks what is known, which may be NULL, and what looks like a key, in its text. */
extern void kv_statement_hide_known(const KvKnownValues *known);

/* The running statement's text as it came, and its length; NULL when there is none. */
extern const char *kv_statement_text(Size *len);

/* Whether a text, which need not be the running statement's, carries secrets. */
extern bool kv_statement_is_secret(const char *text);

/*
 * A copy of len bytes of text without literals, palloc'd in context, with a prefix in
 * front; NULL when there is not enough memory.
 */
extern char *kv_without_literals(const char *prefix, Size prefix_len,
								 const char *text, Size len, MemoryContext context);

/* Whether there is a literal, or a comment, in the text. */
extern bool kv_has_literals(const char *text, Size len);

#endif							/* KV_REDACTION_STATEMENT_H */
