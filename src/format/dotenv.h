/*
 * dotenv.h
 *		Text of a .env file: reading a variable, and changing one.
 *
 * A file is read by python-dotenv, npm's dotenv and others like them, which differ in
 * what they make of an odd line.  So a variable has the value that both of these two
 * read.  When they do not read the same, it has none that we could tell: that is an
 * answer of its own, and takes no other variable away.  With two exceptions, where one of
 * them is right: "NAME= # comment" is empty, and a byte order mark is no part of the
 * first name.
 *
 * Variables are not interpolated: ${NAME} in a value is such a difference, because
 * python-dotenv does.  A line ends with LF, CRLF or CR; inside quotes each of these is one
 * LF.  A variable that is assigned twice has the last value.
 *
 * Text is bytes that should be UTF-8; the caller checks values for that.
 */
#ifndef KV_DOTENV_H
#define KV_DOTENV_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#define KV_DOTENV_MAX	(1024 * 1024)	/* bytes of text, read or written */

/* The answer of kv_dotenv_get. */
typedef struct KvDotenvValue
{
	char	   *data;			/* the caller's buffer, which the caller wipes; */
	size_t		size;			/* len bytes of it suffice for a text of len */
	bool		found;
	size_t		len;			/* of the value; no NUL follows it */
	size_t		python_line;	/* where python-dotenv finds it, from 1, and npm's */
	size_t		npm_line;		/* dotenv; 0 for one that does not */
} KvDotenvValue;

/* Whether it is [A-Za-z_][A-Za-z0-9_]*, which is what we look up and write. */
extern bool kv_dotenv_name_is_good(const char *name);

/*
 * Whether it is a text at all.  *line is set to the line of an error, from 1, or to 0
 * when there is none or it has no line.  The functions below check that themselves.
 *
 * Returns KV_OK; KV_TOO_LARGE for more than KV_DOTENV_MAX; KV_SYNTAX for a NUL.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_check(const char *text, size_t len, size_t *line);

/*
 * Looks up a variable.  The caller sets value->data and size; *line is as above, for
 * KV_AMBIGUOUS one of those in value.
 *
 * Returns KV_OK, found or not; KV_AMBIGUOUS when the two readers do not read the same;
 * KV_TOO_LARGE for too long a text, or when a value as it is spelled, with its quotes,
 * is longer than size; KV_SYNTAX; KV_NO_MEMORY.  Unless it is KV_OK, found is false.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_get(const char *text, size_t len,
											const char *name,
											KvDotenvValue *value, size_t *line);

/*
 * Finds the lines from which not both readers take a variable, comments and blank
 * lines apart, and a name alone on its line: a line that they pass over, most often.
 * The first max of them go to lines, in order; returns how many there are.  The text has
 * been checked.
 */
extern size_t kv_dotenv_odd_lines(const char *text, size_t len, size_t *lines, size_t max);

/*
 * Gives a variable a value: its last assignment is changed, or one is added at the
 * end, when there is none or it is too odd.  All else stays byte for byte: comments,
 * order, export, line ends, odd lines, and the kind of quotes if they can spell the
 * value.  It is always one line, and spelled so that python-dotenv (interpolating or not)
 * and npm's dotenv read back the same bytes.  What they do with the rest of the file
 * does not change.
 *
 * One thing cannot be mended here: python-dotenv does not find a variable on the
 * first line of a file with a byte order mark, unless told the encoding utf-8-sig.
 *
 * *out is *out_len bytes that the caller gives to kv_dotenv_free; NULL and 0 unless
 * it is KV_OK.  *line is as above.
 *
 * Returns KV_OK; KV_UNREPRESENTABLE when there is no such spelling, also for
 * a value that is not UTF-8, has a NUL, or has what python-dotenv would interpolate;
 * KV_SYNTAX for a NUL in the text or, with *line 0, for a name that is not
 * good; KV_TOO_LARGE for the text before or after; KV_NO_MEMORY.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_set(const char *text, size_t len,
											const char *name,
											const char *value, size_t value_len,
											char **out, size_t *out_len, size_t *line);

/*
 * Removes all lines that assign a variable, for either reader, and those that only
 * name it.  All else stays byte for byte.  Otherwise as kv_dotenv_set.
 *
 * Returns KV_OK, also when there was none; KV_AMBIGUOUS when such a line has to do
 * with other variables, to one of the readers; KV_SYNTAX, KV_TOO_LARGE and
 * KV_NO_MEMORY as above.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_unset(const char *text, size_t len,
											  const char *name,
											  char **out, size_t *out_len, size_t *line);

/* Wipes and frees what one of the two above handed out; NULL is fine. */
extern void kv_dotenv_free(char *text, size_t len);

#endif							/* KV_DOTENV_H */
