/*
 * opening_many.h
 *		For functions that may be called for row after row of one statement, and for
 *		what goes through rows by itself.
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

/* The same for opening and sealing, until the context is reset. */
extern MemoryContextCallback *kv_doing_many(MemoryContext context);

#endif							/* KV_OPENING_MANY_H */
