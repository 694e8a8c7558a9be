/*
 * sql_calls.h
 *		How the calls of key_vault's functions in an SQL text are given their secrets.
 */
#ifndef KV_SQL_CALLS_H
#define KV_SQL_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether each call that takes a secret has a parameter for it, `$3`, perhaps with a
 * cast: then no literal of the text is one.  In doubt the answer is no, and it is
 * no without a call.  backslashes: standard_conforming_strings is off.
 */
extern bool kv_sql_binds_secrets(const char *text, size_t len, bool backslashes);

#endif							/* KV_SQL_CALLS_H */
