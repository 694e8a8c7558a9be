/*
 * purge.c
 *		The SQL functions for what expires soon, or expired long ago.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "api/procedure.h"
#include "vault/secrets/purge.h"

PG_FUNCTION_INFO_V1(kv_sql_expiring);
PG_FUNCTION_INFO_V1(kv_sql_purge);

/*
 * key_vault.expiring(within interval) returns table
 *
 * The current secrets of all users that expire within that time; none for NULL.
 */
Datum
kv_sql_expiring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0))
		kv_purge_report_expiring(PG_GETARG_INTERVAL_P(0), result->setResult);
	return (Datum) 0;
}

/*
 * key_vault.purge(batch_size int)
 *
 * Removes secrets that expired longer ago than key_vault.purge_after.
 */
Datum
kv_sql_purge(PG_FUNCTION_ARGS)
{
	kv_require_own_transactions(fcinfo, "key_vault.purge()");
	kv_purge_run(kv_batch_size_argument(fcinfo, 0));
	PG_RETURN_VOID();
}
