/*
 * unopened.h
 *		Which secrets did not open while others were re-sealed.
 */
#ifndef KV_UNOPENED_H
#define KV_UNOPENED_H

#include "store/rotation_rows.h"

typedef struct HTAB KvUnopened;

/* In the current memory context. */
extern KvUnopened *kv_unopened_create(void);

/* Adds one that is not there yet; a WARNING tells of it, and why it does not open. */
extern void kv_unopened_add(KvUnopened *unopened, const KvRotationRow *row,
							const char *reason);

extern bool kv_unopened_contains(KvUnopened *unopened, const KvRotationRow *row);

#endif							/* KV_UNOPENED_H */
