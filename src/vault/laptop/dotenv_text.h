/*
 * dotenv_text.h
 *		What is in the .env file on disk; a copy serves until the file changes.
 */
#ifndef KV_DOTENV_TEXT_H
#define KV_DOTENV_TEXT_H

#include "server/compat.h"
#include "status.h"

/* The file's bytes, in memory of this file: good until the next call. */
typedef struct KvDotenvText
{
	const char *bytes;
	Size		len;
} KvDotenvText;

/*
 * Reads the file if it changed.  A WARNING tells of lines that are passed over, once a
 * session for the same.  Errors: F0000.
 */
extern KvDotenvText kv_dotenv_text_current(void);

/* What messages call it, palloc'd. */
extern char *kv_dotenv_text_where(void);

/* Raises what is wrong with the file as a whole, or why a line cannot be taken away. */
pg_noreturn extern void kv_dotenv_text_report(KvStatus status, Size line);

/* The flags with which the file is read, locked and written. */
#define KV_DOTENV_FILE_FLAGS \
	(KV_PRIVATE_FILE_MAY_BE_EMPTY | KV_PRIVATE_FILE_MAY_BE_SHARED | \
	 KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY)

#endif							/* KV_DOTENV_TEXT_H */
