/*
 * attributes.h
 *		The attributes of a secret as they are bound to it: their text in one spelling.
 */
#ifndef KV_ATTRIBUTES_H
#define KV_ATTRIBUTES_H

#include "utils/jsonb.h"

#include "crypto/envelope.h"

#define KV_ATTRIBUTES_MAX	KV_BINDING_ATTRIBUTES_MAX	/* bytes of that text */
#define KV_ATTRIBUTES_DEPTH	32	/* objects and arrays in one another */

typedef enum KvAttributesFault
{
	KV_ATTRIBUTES_GOOD,
	KV_ATTRIBUTES_NO_OBJECT,
	KV_ATTRIBUTES_TOO_LARGE,
	KV_ATTRIBUTES_TOO_DEEP,
	KV_ATTRIBUTES_NOT_UTF8		/* a character without a UTF-8 form */
} KvAttributesFault;

/*
 * Writes the text to buffer, which has KV_ATTRIBUTES_MAX bytes, and sets *text to it.
 *
 * It is UTF-8 in any database, and the same for the same attributes, whose order jsonb
 * leaves to the database's encoding.  Numbers are spelled as PostgreSQL does: 1.0 is not
 * 1.00.  Nothing is written beyond the buffer, however large they are.
 */
extern KvAttributesFault kv_attributes_text(Jsonb *attributes, char *buffer, KvBytes *text);

#endif							/* KV_ATTRIBUTES_H */
