/*
 * sql_token.h
 *		What is asked of an SQL text's tokens by more than one.
 */
#ifndef KV_SQL_TOKEN_H
#define KV_SQL_TOKEN_H

#include "format/sql_literals.h"

/* The next token that is neither white space nor a comment; false at the end of the text. */
extern bool kv_sql_next_significant(KvSqlScanner *scanner, KvSqlToken *token);

/*
 * What is between a string's or quoted identifier's quotes, as it stands there:
 * from its first quote to its last, or to the token's end if there is none.
 */
extern void kv_sql_content(const char *text, const KvSqlToken *token,
						   size_t *start, size_t *end);

#endif							/* KV_SQL_TOKEN_H */
