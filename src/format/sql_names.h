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
	unsigned char rarest;		/* of the name: see sql_words.h */
	char		schema[KV_SQL_NAME_MAX];
	char		name[KV_SQL_NAME_MAX];
} KvSqlName;

/*
 * key_vault.set and its like, however the two words are quoted and set apart; and set(...)
 * where the schema is named elsewhere in the text, which may put it into the search_path.
 */
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

/* What is asked of the name of a prepared statement; "" when it is none that can be read here. */
typedef bool (*KvSqlNameTest) (const char *name, void *argument);

/* Whether the test holds for a prepared statement that the text executes. */
extern bool kv_sql_any_executed(const char *text, size_t len,
								KvSqlNameTest test, void *argument);

#endif							/* KV_SQL_NAMES_H */
