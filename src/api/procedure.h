/*
 * procedure.h
 *		What every procedure that commits asks first.
 */
#ifndef KV_API_PROCEDURE_H
#define KV_API_PROCEDURE_H

#include "fmgr.h"

/* Errors: 2D000 in a transaction block, a function, or a block that catches errors. */
extern void kv_require_own_transactions(FunctionCallInfo fcinfo, const char *name);

/* The argument batch_size, 1 to KV_BATCH_SIZE_MAX.  Errors: 22004, 22023. */
#define KV_BATCH_SIZE_MAX 10000 /* rows of the largest secrets still fit an array */
extern int	kv_batch_size_argument(FunctionCallInfo fcinfo, int n);

#endif							/* KV_API_PROCEDURE_H */
