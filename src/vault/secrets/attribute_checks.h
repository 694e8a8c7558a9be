/*
 * attribute_checks.h
 *		What is refused as the attributes of a key.
 */
#ifndef KV_ATTRIBUTE_CHECKS_H
#define KV_ATTRIBUTE_CHECKS_H

#include "utils/jsonb.h"

/*
 * Errors, 22023, for what is no object, too large, too deep, or holds what looks like an
 * API key or a token, or the key itself: it would stand in the clear.  No message quotes
 * any of it.  22021 for a character without a UTF-8 form.  NULL is fine.
 */
extern void kv_attributes_check(Jsonb *attributes, const text *api_key);

#endif							/* KV_ATTRIBUTE_CHECKS_H */
