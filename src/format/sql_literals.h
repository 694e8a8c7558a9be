/*
 * sql_literals.h
 *		The tokens of an SQL text, as PostgreSQL's own scanner sees them: which
 *		bytes of it are literals.
 *
 * Takes any bytes and never fails: what has no end goes to the text's end.
 * Nothing is allocated.  The text is in a server encoding, in which no byte of a
 * longer character is ASCII.
 */
#ifndef KV_SQL_LITERALS_H
#define KV_SQL_LITERALS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum KvSqlKind
{
	KV_SQL_SPACE,
	KV_SQL_COMMENT,				/* to the line's end, or nested */
	KV_SQL_STRING,				/* with its prefix, and where it goes on in another line */
	KV_SQL_NUMBER,				/* with what follows it without a gap, which is an error */
	KV_SQL_PARAMETER,			/* $1 */
	KV_SQL_WORD,				/* a keyword, or an identifier without quotes */
	KV_SQL_QUOTED,				/* an identifier in double quotes */
	KV_SQL_OTHER				/* one character of an operator, or of none of these; two of `..` */
} KvSqlKind;

/* How a string is spelled. */
typedef enum KvSqlStyle
{
	KV_SQL_PLAIN,				/* '...', N'...' */
	KV_SQL_ESCAPED,				/* E'...', and '...' without standard_conforming_strings */
	KV_SQL_UNICODE,				/* U&'...', U&"..." */
	KV_SQL_BITS,				/* B'...', X'...' */
	KV_SQL_DOLLAR				/* $tag$...$tag$ */
} KvSqlStyle;

typedef struct KvSqlScanner
{
	const char *text;
	size_t		len;
	size_t		at;				/* where the next token begins */
	bool		backslashes;	/* standard_conforming_strings is off */
	bool		in_prose;		/* double quotes begin nothing, nor does an apostrophe */
	char		before;			/* sql_redact's: the last character outside white space and comments */
} KvSqlScanner;

typedef struct KvSqlToken
{
	KvSqlKind	kind;
	KvSqlStyle	style;			/* of strings and quoted identifiers */
	size_t		start;
	size_t		end;
} KvSqlToken;

/* The next token; false at the end of the text.  Every byte is in some token. */
extern bool kv_sql_next(KvSqlScanner *scanner, KvSqlToken *token);

/*
 * A string goes on where white space with a newline in it, and another quote,
 * follow its quote.  at is behind that one; returns the offset behind the other, or 0.
 */
extern size_t kv_sql_continued_at(const KvSqlScanner *scanner, size_t at);

/* A character of an identifier after its first: a letter, a digit, _, $, not ASCII. */
extern bool kv_sql_is_name_char(char c);

extern bool kv_sql_is_space(char c);

/* Whether it is one of the characters of set; a NUL is not. */
extern bool kv_sql_is_one_of(char c, const char *set);
extern bool kv_sql_is_digit(char c);

#endif							/* KV_SQL_LITERALS_H */
