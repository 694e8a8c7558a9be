/*
 * statement_text.h
 *		Keeps a statement in which a key stands literally out of the server log
 *		and out of pg_stat_activity.
 */
#ifndef KV_STATEMENT_TEXT_H
#define KV_STATEMENT_TEXT_H

/* Installs the hook; once for each process that loads the library. */
extern void kv_statement_text_init(void);

/*
 * Looks for secret (len bytes) in the text of the running statement and in
 * the error context around it.  When it stands there, the text is hidden from
 * here to the end of the statement, and the answer is true.
 *
 * A key of fewer than 8 bytes counts only between quotes: it could stand
 * anywhere by chance.
 */
extern bool kv_statement_text_hides(const char *secret, int len);

#endif							/* KV_STATEMENT_TEXT_H */
