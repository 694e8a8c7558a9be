/*
 * sql_words.h
 *		Finds a word in a text that is SQL, or quotes SQL: in any case, with quotes or
 *		without, and as U&"..." with escapes.
 */
#ifndef KV_SQL_WORDS_H
#define KV_SQL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct KvSqlWord
{
	const char *text;			/* in lower case */
	size_t		len;			/* 1 or more */
	size_t		rarest;			/* the byte of it that texts have least of: from kv_sql_rarest() */
} KvSqlWord;

/* Where a word stands in a text: from at, and end is behind it. */
typedef struct KvSqlPlace
{
	const char *text;
	size_t		len;			/* of the text */
	size_t		at;
	size_t		end;
} KvSqlPlace;

/* What is asked of a word that stands there.  True ends the search. */
typedef bool (*KvSqlWordTest) (const KvSqlPlace *place, void *argument);

extern size_t kv_sql_rarest(const char *word, size_t len);

/* Whether the test holds for any place where the word stands, in no order. */
extern bool kv_sql_any_word(const char *text, size_t len, const KvSqlWord *word,
							KvSqlWordTest test, void *argument);

/* Where the word ends that stands at an offset; 0 when another one does. */
extern size_t kv_sql_word_end(const char *text, size_t len, size_t at,
							  const char *word, size_t word_len);

/* Whether a word that stands at an offset begins there. */
extern bool kv_sql_word_begins(const char *text, size_t at);

/* Whether the text has these characters of a word, in any case; it has len bytes of them. */
extern bool kv_sql_is_same(const char *text, const char *word, size_t len);

/*
 * Behind what may stand between the words of one name: white space, comments, the
 * quotes of the names, and how JSON and CSV spell those.
 */
extern size_t kv_sql_skip_gap(const char *text, size_t len, size_t at);

/* In front of white space and quotes; behind what stands there. */
extern size_t kv_sql_skip_gap_back(const char *text, size_t at);

extern char kv_sql_lower(char c);

#endif							/* KV_SQL_WORDS_H */
