/*
 * usage_rows.c
 *		The SQL on key_vault_data.usage.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "server/compat.h"
#include "store/policy.h"
#include "store/statement.h"
#include "store/usage_rows.h"

static KvStatement add_to_month = {
	"INSERT INTO key_vault_data.usage AS u (user_id, provider, month, paid_by, team_id,"
	" requests, tokens, cost)"
	" VALUES ($1, $2, pg_catalog.date_trunc('month', pg_catalog.timezone('UTC',"
	" pg_catalog.now()))::pg_catalog.date, $3, $8, $4, $5, $6)"
	" ON CONFLICT (user_id, provider, month, paid_by, team_id) DO UPDATE SET"
	" requests = u.requests OPERATOR(pg_catalog.+) EXCLUDED.requests,"
	" tokens = u.tokens OPERATOR(pg_catalog.+) EXCLUDED.tokens,"
	" cost = u.cost OPERATOR(pg_catalog.+) EXCLUDED.cost,"
	/* by its default, which is the clock: Citus runs none here */
	" updated_at = EXCLUDED.updated_at"
	" RETURNING *, GREATEST(u.requests, u.tokens, u.cost) OPERATOR(pg_catalog.>) $7",
	8, {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, NUMERICOID, NUMERICOID, TEXTOID}
};

static KvStatement delete_user = {
	"DELETE FROM key_vault_data.usage WHERE user_id OPERATOR(pg_catalog.=) $1"
	" RETURNING *",
	1, {TEXTOID}
};

/* The last column of the row that was written says whether it is. */
static void
check_month(const KvUsage *usage, uint64 count)
{
	bool		isnull;

	if (count > 0 &&
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								   SPI_tuptable->tupdesc->natts, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("usage of provider \"%s\" is out of range",
						text_to_cstring(usage->provider)),
				 errdetail("A user's month holds at most " INT64_FORMAT " requests, tokens, and units of cost.",
						   KV_USAGE_MONTH_MAX)));
}

void
kv_usage_row_add(const KvUsage *usage)
{
	Datum		values[8];
	uint64		count;

	values[0] = PointerGetDatum(usage->user_id);
	values[1] = PointerGetDatum(usage->provider);
	values[2] = CStringGetTextDatum(usage->paid_by);
	values[3] = Int64GetDatum(usage->requests);
	values[4] = Int64GetDatum(usage->tokens);
	values[5] = usage->cost;
	values[6] = NumericGetDatum(int64_to_numeric(KV_USAGE_MONTH_MAX));
	values[7] = PointerGetDatum(usage->team_id);
	kv_spi_connect();
	count = kv_statement_run_as_owner(&add_to_month, values, NULL, 0);
	kv_policy_check_returned("usage", KV_POLICY_INSERT, count);
	check_month(usage, count);
	SPI_finish();
}

uint64
kv_usage_rows_delete_user(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&delete_user, values, NULL, 0);
	kv_policy_check_returned("usage", KV_POLICY_DELETE, count);
	SPI_finish();
	return count;
}
