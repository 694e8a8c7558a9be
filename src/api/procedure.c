/*
 * procedure.c
 *		What every procedure that commits asks first.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"

#include "api/procedure.h"
#include "server/errors.h"

void
kv_require_own_transactions(FunctionCallInfo fcinfo, const char *name)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
			 errmsg("%s cannot run inside a transaction block", name),
			 errdetail("It commits as it goes."),
			 errhint("Call it by itself, outside of BEGIN and of functions.")));
}

int
kv_batch_size_argument(FunctionCallInfo fcinfo, int n)
{
	int			batch_size;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("batch size is NULL")));
	batch_size = PG_GETARG_INT32(n);
	if (batch_size < 1 || batch_size > KV_BATCH_SIZE_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("batch size must be 1 to %d", KV_BATCH_SIZE_MAX),
				 errdetail("It is %d.", batch_size)));
	return batch_size;
}
