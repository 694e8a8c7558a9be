/*
 * dotenv_words.h
 *		What is said of a .env file of which not all can be read.
 *
 * where is what a message calls the file: file "/x/.env", or what else its text
 * was passed as.  No message holds a value.
 */
#ifndef KV_DOTENV_WORDS_H
#define KV_DOTENV_WORDS_H

#include "format/dotenv.h"

/* Why a variable, which is there, has no value that could be told. */
typedef struct KvDotenvObstacle
{
	int			code;			/* SQLSTATE; 0 when nothing is in the way */
	const char *message;		/* without a full stop */
	const char *detail;			/* these two are sentences */
	const char *hint;
} KvDotenvObstacle;

/* Python-dotenv and npm's dotenv do not read the same. */
extern KvDotenvObstacle kv_dotenv_ambiguous(const char *name, const KvDotenvValue *value,
											const char *where);

/* It is not UTF-8. */
extern KvDotenvObstacle kv_dotenv_not_text(const char *name, const KvDotenvValue *value,
										   const char *where);

/* The database's encoding cannot hold it. */
extern KvDotenvObstacle kv_dotenv_not_in_encoding(const char *name, const KvDotenvValue *value,
												  const char *where);

extern void kv_dotenv_report_obstacle(int level, const KvDotenvObstacle *why);

/*
 * The message of a WARNING about odd lines, palloc'd; NULL when there are none.  The
 * text has been checked.
 */
extern char *kv_dotenv_odd_lines_message(const char *text, Size len, const char *where);

extern void kv_dotenv_warn_of_odd_lines(const char *message);

#endif							/* KV_DOTENV_WORDS_H */
