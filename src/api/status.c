/*
 * status.c
 *		The SQL function that says whether everything is in order.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "vault/status/status.h"

PG_FUNCTION_INFO_V1(kv_sql_status);

/*
 * key_vault.status() returns table
 *
 * One row an item: state is ok, warning or error.
 */
Datum
kv_sql_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_status_report(result->setResult, result->setDesc);
	return (Datum) 0;
}
