/*
 * known_values.h
 *		Finds and masks values that must not be shown, wherever they stand in a text:
 *		quoted, with quotes or backslashes doubled, in XML, cut, or as a part of something
 *		else.
 *
 * Eight bytes in a row are recognized, quotes, backslashes and what XML has names for left
 * out.  A value that has fewer is not.
 */
#ifndef KV_KNOWN_VALUES_H
#define KV_KNOWN_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_KNOWN_VALUE_MIN 8

typedef struct KvKnownValue
{
	const char *data;
	size_t		len;
} KvKnownValue;

typedef struct KvKnownValues
{
	const KvKnownValue *values;
	size_t		count;
	uint8_t		filter[8192];	/* bits of hashes of eight bytes */
} KvKnownValues;

/* Takes the values, which must stay where they are. */
extern void kv_known_values_index(KvKnownValues *known, const KvKnownValue *values,
								  size_t count);

/*
 * Puts **** in the place of what is known, and of a literal that was cut after fewer
 * than eight bytes, `'abc...'`.  Works in place and returns how many bytes are left.
 */
extern size_t kv_known_values_hide(const KvKnownValues *known, char *text, size_t len);

/* Whether kv_known_values_hide would hide anything. */
extern bool kv_known_values_stand_in(const KvKnownValues *known, const char *text, size_t len);

#endif							/* KV_KNOWN_VALUES_H */
