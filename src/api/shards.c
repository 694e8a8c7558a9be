/*
 * shards.c
 *		The SQL functions behind views and statements while Citus has the rows.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "server/errors.h"
#include "vault/secrets/shard_views.h"

PG_FUNCTION_INFO_V1(kv_sql_in_shard_of);
PG_FUNCTION_INFO_V1(kv_sql_rows_in_shards);

/*
 * key_vault.in_shard_of(user_id text, other_user_id text) returns boolean
 *
 * The worker has the one shard that Citus sent the statement to, and all of its rows are in it.
 */
Datum
kv_sql_in_shard_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

/*
 * key_vault.rows_in_shards(view text) returns setof record
 *
 * The rows of one of the views of schema key_vault.
 */
Datum
kv_sql_rows_in_shards(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the name of a view must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	kv_shard_view_report(text_to_cstring(PG_GETARG_TEXT_PP(0)), result->setResult, result->setDesc);
	return (Datum) 0;
}
