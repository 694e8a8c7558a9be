/*
 * dotenv_file.h
 *		The .env file under development, as this transaction sees it: what is on
 *		disk, under what the transaction has changed and not yet committed.
 *
 * Errors: F0000 with the file when it is missing, unreadable or no text; never "no
 * key".
 */
#ifndef KV_DOTENV_FILE_H
#define KV_DOTENV_FILE_H

#include "vault/laptop/dotenv_words.h"

/* Registers the transaction callbacks; once a process. */
extern void kv_dotenv_file_init(void);

/*
 * A variable's value, palloc'd in the database's encoding with a NUL behind it,
 * or NULL when it is not set.  An empty value is a value here.
 *
 * Errors, about this variable alone: F0000 when it is ambiguous or not UTF-8; 22P05
 * when the database's encoding lacks one of its characters.
 */
extern char *kv_dotenv_file_value(const char *name, int *len);

/*
 * As kv_dotenv_file_value(), but NULL and why instead of those errors.  why->code is 0
 * when it is not set.
 */
extern char *kv_dotenv_file_try_value(const char *name, int *len, KvDotenvObstacle *why);

/*
 * Sets a variable, or removes it with value NULL, when the transaction commits;
 * what a rolled-back savepoint changed is dropped with it.
 *
 * Errors, now rather than at the commit: 22023 for a value that no .env file
 * can spell; F0000 when the file is not the server's user's own.
 */
extern void kv_dotenv_file_change(const char *name, const char *value, int len);

#endif							/* KV_DOTENV_FILE_H */
