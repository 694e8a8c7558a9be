/*
 * dotenv_same.h
 *		What a changed .env file has to read as, to python-dotenv and to npm's dotenv.
 */
#ifndef KV_DOTENV_SAME_H
#define KV_DOTENV_SAME_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* Whether both find all variables but this one spelled as they were. */
extern bool kv_dotenv_rest_is_same(const char *old_text, size_t old_len,
								   const char *new_text, size_t new_len,
								   const char *name);

/*
 * KV_OK when the text gives the variable this value: to both readers by the same line,
 * not to one of them by an older one that happens to have it.  KV_UNREPRESENTABLE when
 * it does not; else what kv_dotenv_get() returns.
 */
extern KV_MUST_CHECK KvStatus kv_dotenv_reads_back(const char *text, size_t len,
												   const char *name,
												   const char *value, size_t value_len);

#endif							/* KV_DOTENV_SAME_H */
