/*
 * log_text.h
 *		Takes the literals out of what a log entry says about a statement that
 *		carries secrets, in place.
 *
 * Each function works on len bytes and returns how many are left: never more.  A
 * literal becomes '****', or fewer stars where there is no room for four.  A
 * comment loses its text.  Nothing is allocated, and nothing fails.
 *
 * backslashes: standard_conforming_strings is off.
 */
#ifndef KV_LOG_TEXT_H
#define KV_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A message that may quote SQL: parameters: $1 = 'a'; SQL statement "SELECT 'a'".
 * Numbers stay.
 */
extern size_t kv_log_hide_literals(char *text, size_t len, bool backslashes);

/*
 * A plan as auto_explain writes it, in any of its formats.  A string of JSON or YAML
 * that has an escape in it ends where its first literal begins.
 */
extern size_t kv_log_hide_in_plan(char *text, size_t len, bool backslashes);

/*
 * pgaudit's record, `AUDIT: ...,<statement>,<parameters>`: CSV, of which the eighth
 * field is the statement, and the ninth has the parameters without quotes.
 */
extern size_t kv_log_hide_in_audit(char *text, size_t len, bool backslashes);

/*
 * What an error quotes of the data, or of the statement, it failed for: all from
 * the first double quote or colon on.
 */
extern size_t kv_log_hide_quoted(char *text, size_t len);

/* The values in `Key (a)=(b) already exists` and `Failing row contains (a, b)`. */
extern size_t kv_log_hide_row(char *text, size_t len);

/* What COPY says of its data in an error's context: `COPY t, line 1: "a	b"`. */
extern size_t kv_log_hide_copied(char *text, size_t len);

/*
 * What the first line of an error's context says of JSON that is none: `JSON data, line 1:
 * {"a" "b`.  It has "JSON" in it in every language.
 */
extern size_t kv_log_hide_json(char *text, size_t len);

#endif							/* KV_LOG_TEXT_H */
