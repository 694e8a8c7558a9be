/*
 * sql_names.h
 *		Whether a text names something: one of key_vault's functions that take a
 *		secret, or one of a list of names.
 *
 * The text is SQL, or a message, a plan or an audit record that quotes SQL in any
 * spelling.  Names in literals and comments count as well: what is in a
 * literal may be run.  In doubt the answer is yes.
 */
#ifndef KV_SQL_NAMES_H
#define KV_SQL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_SQL_NAME_MAX 63

/* A name to look for, in lower case; without a schema it is that of any. */
typedef struct KvSqlName
{
	unsigned char schema_len;	/* 0: none */
	unsigned char name_len;
	char		schema[KV_SQL_NAME_MAX];
	char		name[KV_SQL_NAME_MAX];
} KvSqlName;

/* key_vault.set and its like, however the two words are quoted and set apart. */
extern bool kv_sql_names_ours(const char *text, size_t len);

/* set(...) and its like without a schema, which may be an application's own. */
extern bool kv_sql_calls_ours(const char *text, size_t len);

/*
 * One of the list.  A name with a schema is found in front of that schema's dot,
 * and without a schema.
 */
extern bool kv_sql_names_listed(const char *text, size_t len,
								const KvSqlName *names, size_t count);

/*
 * Reads a list such as `app.save_key, "App"."Keys"` into names; count says how
 * many there are.  False when it is none, or has more than size names.
 */
extern bool kv_sql_names_parse(const char *list, KvSqlName *names, size_t size, size_t *count);

/*
 * The name of the next prepared statement that the text executes, and where to look
 * for the one after it; false when there is none.  *at is 0 at first.
 */
extern bool kv_sql_next_executed(const char *text, size_t len, size_t *at,
								 char name[KV_SQL_NAME_MAX + 1]);

#endif							/* KV_SQL_NAMES_H */
