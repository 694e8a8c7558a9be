/*
 * strict_json.h
 *		One JSON object, read so that nobody else can read it differently.
 */
#ifndef KV_JOSE_STRICT_JSON_H
#define KV_JOSE_STRICT_JSON_H

#include <stddef.h>

#include "library.h"
#include "status.h"

#define KV_JSON_DEPTH_MAX	16	/* objects and arrays in each other */

typedef enum KvJsonFault
{
	KV_JSON_OK = 0,
	KV_JSON_SYNTAX,				/* not one object: see below */
	KV_JSON_DUPLICATE,			/* a member stands twice in an object, at any depth, however it is spelled */
	KV_JSON_DEPTH,				/* deeper than KV_JSON_DEPTH_MAX */
	KV_JSON_NO_MEMORY
} KvJsonFault;

/*
 * Reads len bytes, which need no NUL behind them.  Refused as syntax, too: what follows
 * the object, a byte order mark, text that is not UTF-8, a character U+0000, an integer
 * beyond 64 bits, a number that no double holds.
 *
 * *object is the caller's to json_decref(), and NULL unless it is KV_JSON_OK.
 */
extern KV_MUST_CHECK KvJsonFault kv_json_object(const char *text, size_t len, json_t **object);

/*
 * The text of a member, and its length; NULL when the object has no such member or it is
 * no text.  The text is the object's.
 */
extern const char *kv_json_text(const json_t *object, const char *name, size_t *len);

#endif							/* KV_JOSE_STRICT_JSON_H */
