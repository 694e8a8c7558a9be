/*
 * audit.c
 *		The SQL functions that read the audit.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/audit/verify.h"

PG_FUNCTION_INFO_V1(kv_sql_read_history);
PG_FUNCTION_INFO_V1(kv_sql_verify_audit);
PG_FUNCTION_INFO_V1(kv_sql_audit_head);

/*
 * key_vault.read_history(user_id text, within interval) returns table
 *
 * The records of one user's keys of the last while, the latest first.
 */
Datum
kv_sql_read_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("within is NULL")));
	kv_audit_report_history(KV_GETARG_TEXT_OR_NULL(0), PG_GETARG_INTERVAL_P(1), result->setResult);
	return (Datum) 0;
}

/*
 * key_vault.verify_audit(first_number bigint, last_number bigint) returns table
 *
 * The first record that was changed, removed or put in, if there is one.
 */
Datum
kv_sql_verify_audit(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		first = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64		last = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);

	InitMaterializedSRF(fcinfo, 0);
	kv_audit_verify(PG_ARGISNULL(0) ? NULL : &first, PG_ARGISNULL(1) ? NULL : &last,
					result->setResult, result->setDesc);
	return (Datum) 0;
}

/*
 * key_vault.audit_head() returns table
 *
 * The last record's number, time and code, for keeping elsewhere.
 */
Datum
kv_sql_audit_head(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_audit_report_head(result->setResult, result->setDesc);
	return (Datum) 0;
}
