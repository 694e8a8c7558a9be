/*
 * dotenv_last.h
 *		Where each reader of a .env file finds a variable, for those who read and change
 *		one.
 */
#ifndef KV_DOTENV_LAST_H
#define KV_DOTENV_LAST_H

#include "dotenv_readers.h"

/* The last entry of a name, which counts: to each reader. */
typedef struct KvDotenvLast
{
	bool		in_python;
	bool		in_npm;
	KvDotenvEntry python;		/* may be a name alone */
	KvDotenvEntry npm;
} KvDotenvLast;

extern KvDotenvLast kv_dotenv_find_last(const char *text, size_t len, const char *name);

extern bool kv_dotenv_has_name(const char *text, const KvDotenvEntry *entry,
							   const char *name);

/*
 * Whether there is but a comment behind the =, with white space before it, which
 * python-dotenv alone takes for the value.
 */
extern bool kv_dotenv_is_comment_alone(const char *text, const KvDotenvEntry *entry);

#endif							/* KV_DOTENV_LAST_H */
