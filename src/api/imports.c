/*
 * imports.c
 *		The SQL functions that move keys in.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/moving/imports.h"

PG_FUNCTION_INFO_V1(kv_sql_import_keys);
PG_FUNCTION_INFO_V1(kv_sql_import_dotenv);

/*
 * key_vault.import_keys(query text, passphrase text, refuse_odd boolean,
 *						 OUT imported bigint, OUT skipped bigint, OUT failed bigint)
 *
 * Stores what a query returns.
 */
Datum
kv_sql_import_keys(PG_FUNCTION_ARGS)
{
	KvImportOptions options;
	KvImportCounts counts;
	TupleDesc	columns;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("query is NULL")));
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	options.passphrase = KV_GETARG_TEXT_OR_NULL(1);
	options.refuse_odd = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	KV_AUDITED(call, .action = "import_keys");
	{
		counts = kv_import_keys(text_to_cstring(PG_GETARG_TEXT_PP(0)), &options);
	}
	KV_AUDITED_END(call);
	values[0] = Int64GetDatum((int64) counts.imported);
	values[1] = Int64GetDatum((int64) counts.skipped);
	values[2] = Int64GetDatum((int64) counts.failed);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/*
 * key_vault.import_dotenv(user_id text, content text) returns table
 *
 * Stores the provider keys in the text of a .env file.
 */
Datum
kv_sql_import_dotenv(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *user_id = KV_GETARG_TEXT_OR_NULL(0);

	InitMaterializedSRF(fcinfo, 0);
	KV_AUDITED(call, .action = "import_dotenv", .user_id = user_id);
	{
		kv_import_dotenv(user_id, KV_GETARG_TEXT_OR_NULL(1), result->setResult, result->setDesc);
	}
	KV_AUDITED_END(call);
	return (Datum) 0;
}
