/*
 * outcomes.c
 *		The SQL function that records what a provider said of a key.
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/secrets/outcomes.h"

PG_FUNCTION_INFO_V1(kv_sql_record_outcome);

/*
 * key_vault.record_outcome(user_id text, provider text, outcome text, label text,
 *							version int) returns boolean
 *
 * Records what the provider said of the key that serves; false when it did not.
 */
Datum
kv_sql_record_outcome(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = {
		KV_GETARG_TEXT_OR_NULL(0), KV_GETARG_TEXT_OR_NULL(1), KV_GETARG_TEXT_OR_NULL(3)
	};

	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) < 1)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("version must be 1 or more")));
	PG_RETURN_BOOL(kv_outcome_record(&args, KV_GETARG_TEXT_OR_NULL(2),
									 PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4)));
}
