/*
 * sql_redact.h
 *		An SQL text without its literals, in the manner of pg_stat_statements.
 *
 * Strings and numbers become parameters, numbered after those that the text has.
 * A comment loses its text.  So does a quoted identifier that stands where an
 * argument does and is not like a name: who is used to another database
 * puts strings into double quotes.  And so does what follows a string without a gap: a
 * quote in it was not doubled.
 *
 * backslashes: standard_conforming_strings is off.  Any bytes are taken, nothing
 * is allocated, and nothing fails.
 */
#ifndef KV_SQL_REDACT_H
#define KV_SQL_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "format/sql_literals.h"

/*
 * Writes at most size - 1 bytes and a NUL; nothing when size is 0.  Returns how
 * many bytes the whole has without the NUL, as snprintf does.
 */
extern size_t kv_sql_redact(const char *text, size_t len, bool backslashes,
							char *out, size_t size);

/*
 * The next token of which kv_sql_redact does not let the text through; false
 * when there is none.
 */
extern bool kv_sql_next_hidden(KvSqlScanner *scanner, KvSqlToken *token);

#endif							/* KV_SQL_REDACT_H */
