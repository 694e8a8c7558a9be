/*
 * expiring_rows.c
 *		The SQL that finds what expires soon: what the index on expiry holds for that
 *		time, one probe of the primary key for each.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/tuplestore.h"

#include "store/expiring_rows.h"
#include "store/secret_rows.h"
#include "store/statement.h"

static KvStatement select_expiring = {
	"SELECT s.user_id, s.provider, s.label, s.version, s.hint, s.expires_at"
	" FROM key_vault_data.secrets s"
	" WHERE s.expires_at OPERATOR(pg_catalog.>) (SELECT pg_catalog.clock_timestamp())"
	" AND s.expires_at OPERATOR(pg_catalog.<=)"
	" (SELECT pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) $1)"
	" AND " KV_IS_CURRENT("s")
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
	count = kv_statement_find_as_owner(&select_expiring, values, NULL, 0);
	for (uint64 i = 0; i < count; i++)
		tuplestore_puttuple(result, SPI_tuptable->vals[i]);
	SPI_finish();
}
