/*
 * opening_many.h
 *		For functions that may be called for row after row of one statement.
 */
#ifndef KV_OPENING_MANY_H
#define KV_OPENING_MANY_H

#include "fmgr.h"

/*
 * Says that a function which opens a secret is called from this place of a statement.
 * From the second call on, opening costs less, until the place goes: at the end of the
 * statement, or at an error.
 */
extern void kv_opening_many(FmgrInfo *place);

#endif							/* KV_OPENING_MANY_H */
