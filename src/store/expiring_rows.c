/*
 * expiring_rows.c
 *		The SQL that finds what expires soon.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/tuplestore.h"

#include "store/expiring_rows.h"
#include "store/statement.h"

static KvStatement select_expiring = {
	"SELECT s.user_id, s.provider, s.label, s.version, s.hint, s.expires_at"
	" FROM key_vault_data.secrets s"
	" WHERE s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
	" AND s.expires_at OPERATOR(pg_catalog.<=)"
	" (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) $1)"
	" AND NOT EXISTS (SELECT FROM key_vault_data.secrets newer"
	" WHERE newer.user_id OPERATOR(pg_catalog.=) s.user_id"
	" AND newer.provider OPERATOR(pg_catalog.=) s.provider"
	" AND newer.label OPERATOR(pg_catalog.=) s.label"
	" AND newer.version OPERATOR(pg_catalog.>) s.version)"
	" ORDER BY s.expires_at, s.user_id, s.provider, s.label",
	1, {INTERVALOID}
};

void
kv_expiring_rows_report(const Interval *within, Tuplestorestate *result)
{
	Datum		values[1];
	uint64		count;

	values[0] = PointerGetDatum(within);
	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_expiring, values, NULL, 0);
	for (uint64 i = 0; i < count; i++)
		tuplestore_puttuple(result, SPI_tuptable->vals[i]);
	SPI_finish();
}
