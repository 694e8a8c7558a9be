/*
 * dotenv.h
 *		Text of a .env file: reading a variable, and changing one.
 *
 * Where python-dotenv and npm's dotenv agree, so do we.  Where they differ:
 *
 *	- in the value, we read as python-dotenv does: # starts a comment after white
 *	  space only, double quotes know \\ \' \" \a \b \f \n \r \t \v, single
 *	  quotes \\ and \', and backquotes are ordinary characters.  Two exceptions, where
 *	  the other is right: "NAME= # comment" is empty, and a byte order mark is
 *	  no part of the first name.
 *	- in which variables there are, it is an error with a line number: an open
 *	  quote, text behind a closing quote, a line that starts with a quote or with =,
 *	  "NAME: value", a name with = that is not printable ASCII, and outside quotes
 *	  what is white space or a line end to one of them only (U+2028, U+FEFF, ...).
 *	  Two things are merely skipped: a name alone on its line, which is "no value"
 *	  to python-dotenv, and names with other characters than [A-Za-z0-9_.-], which
 *	  npm's dotenv does not know.
 *
 * Variables are not interpolated: ${HOME} is seven characters.  Lines that both
 * libraries skip are skipped.  A line ends with LF, CRLF or CR; inside quotes each
 * of these is one LF.  A variable that is assigned twice has the last value.
 *
 * Text is bytes that should be UTF-8; the caller checks values for that.
 */
#ifndef KV_DOTENV_H
#define KV_DOTENV_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#define KV_DOTENV_MAX	(1024 * 1024)	/* bytes of text, read or written */

/* Where one goes through a text; the text must stay. */
typedef struct KvDotenvReader
{
	const char *text;
	size_t		len;
	size_t		offset;			/* of what comes next */
	size_t		line;			/* of what comes next, or of an error, from 1 */
} KvDotenvReader;

/* A variable's place in the text.  All but line are offsets and lengths in bytes. */
typedef struct KvDotenvEntry
{
	size_t		line;			/* where it starts, from 1 */
	size_t		start;			/* of its first line */
	size_t		end;			/* behind its last line's end */
	size_t		name;
	size_t		name_len;
	bool		has_value;		/* false for a name alone on its line */
	size_t		value;			/* as it is spelled, with its quotes */
	size_t		value_len;
	char		quote;			/* ' or " or, without quotes, NUL */
} KvDotenvEntry;

/* The answer of kv_dotenv_get. */
typedef struct KvDotenvValue
{
	char	   *data;			/* the caller's buffer, which the caller wipes; */
	size_t		size;			/* len bytes of it suffice for a text of len */
	bool		found;
	size_t		len;			/* of the value; no NUL follows it */
	size_t		line;			/* where it was found, from 1 */
} KvDotenvValue;

/* Whether it is [A-Za-z_][A-Za-z0-9_]*, which is what we look up and write. */
extern bool kv_dotenv_name_is_good(const char *name);

/*
 * Starts going through len bytes of text.
 *
 * Returns KV_OK; KV_TOO_LARGE for more than KV_DOTENV_MAX; KV_SYNTAX when
 * there is a NUL byte, and reader->line tells where.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_begin(KvDotenvReader *reader,
											  const char *text, size_t len);

/*
 * Goes to the next entry.  *found is false when there is none.
 *
 * Returns KV_OK; KV_SYNTAX as described above, *found is then false, and
 * reader->line tells where.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_next(KvDotenvReader *reader,
											 KvDotenvEntry *entry, bool *found);

/*
 * Writes an entry's value, without quotes and escapes, to out, which needs room
 * for entry->value_len bytes.  Returns how long it is.
 */
extern size_t kv_dotenv_decode(const KvDotenvReader *reader,
							   const KvDotenvEntry *entry, char *out);

/*
 * Looks up a variable.  The caller sets value->data and size.  *line is set to the
 * line of an error, from 1, or to 0 when there is none or it has no line.
 *
 * Returns KV_OK, found or not; KV_TOO_LARGE for too long a text, or when the
 * value as it is spelled, with its quotes, is longer than size; KV_SYNTAX.
 * Unless it is KV_OK, found is false.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_get(const char *text, size_t len,
											const char *name,
											KvDotenvValue *value, size_t *line);

/*
 * Gives a variable a value: its last assignment is changed, or one is added at the
 * end.  All else stays byte for byte: comments, order, export, line ends, and the
 * kind of quotes if they can spell the value.  It is always one line, and spelled
 * so that we, python-dotenv (interpolating or not) and npm's dotenv read back the
 * same bytes.  What they do with the rest of the file does not change.
 *
 * One thing cannot be mended here: python-dotenv does not find a variable on the
 * first line of a file with a byte order mark, unless told the encoding utf-8-sig.
 *
 * *out is *out_len bytes that the caller gives to kv_dotenv_free; NULL and 0 unless
 * it is KV_OK.  *line is as for kv_dotenv_get.
 *
 * Returns KV_OK; KV_UNREPRESENTABLE when there is no such spelling, also for
 * a value that is not UTF-8, has a NUL, or has what python-dotenv would interpolate;
 * KV_SYNTAX when the text has an error, or, with *line 0, for a name that is not
 * good; KV_TOO_LARGE for the text before or after; KV_NO_MEMORY.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_set(const char *text, size_t len,
											const char *name,
											const char *value, size_t value_len,
											char **out, size_t *out_len, size_t *line);

/*
 * Removes all lines that assign a variable, and those that only name it.  All else
 * stays byte for byte.  Otherwise as kv_dotenv_set.
 *
 * Returns KV_OK, also when there was none; KV_SYNTAX, KV_TOO_LARGE and
 * KV_NO_MEMORY as above.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_unset(const char *text, size_t len,
											  const char *name,
											  char **out, size_t *out_len, size_t *line);

/* Wipes and frees what one of the two above handed out; NULL is fine. */
extern void kv_dotenv_free(char *text, size_t len);

#endif							/* KV_DOTENV_H */
