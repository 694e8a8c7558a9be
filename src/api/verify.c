/*
 * verify.c
 *		The SQL function that looks for secrets that do not open.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "vault/roots/verify.h"

PG_FUNCTION_INFO_V1(kv_sql_verify_secrets);

/*
 * key_vault.verify_secrets() returns table
 *
 * Tries every version of every secret; the rows are those that do not open.
 */
Datum
kv_sql_verify_secrets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_verify_all(result->setResult, result->setDesc);
	return (Datum) 0;
}
