/*
 * onboarding.c
 *		The SQL function that says what a user still has to enter.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "api/arguments.h"
#include "vault/providers/onboarding.h"

PG_FUNCTION_INFO_V1(kv_sql_onboarding);

/*
 * key_vault.onboarding(user_id text) returns table
 *
 * A row for each provider that is required or has a key.
 */
Datum
kv_sql_onboarding(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_onboarding_report(KV_GETARG_TEXT_OR_NULL(0), result->setResult, result->setDesc);
	return (Datum) 0;
}
