/*
 * purge.c
 *		The SQL functions for what expires soon, or expired long ago.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "api/procedure.h"
#include "vault/audit/calls.h"
#include "vault/audit/upkeep.h"
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
 * Removes secrets that expired longer ago than key_vault.purge_after, and audit records
 * older than key_vault.audit_keep.
 */
Datum
kv_sql_purge(PG_FUNCTION_ARGS)
{
	int			batch_size;

	kv_require_own_transactions(fcinfo, "key_vault.purge()");
	batch_size = kv_batch_size_argument(fcinfo, 0);
	KV_AUDITED(call, .action = "purge");
	{
		kv_purge_run(batch_size);
		kv_audit_purge(batch_size);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}
