/*
 * mode.c
 *		The SQL function that says which mode the server is in.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "vault/laptop/mode.h"

PG_FUNCTION_INFO_V1(kv_sql_mode);

/*
 * key_vault.mode(OUT mode text, OUT reason text)
 *
 * development or production, and why.
 */
Datum
kv_sql_mode(PG_FUNCTION_ARGS)
{
	KvMode		mode = kv_mode();
	TupleDesc	columns;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	values[0] = CStringGetTextDatum(mode.development ? "development" : "production");
	values[1] = CStringGetTextDatum(mode.reason);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
