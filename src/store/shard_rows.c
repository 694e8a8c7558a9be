/*
 * shard_rows.c
 *		The SQL of the owner's views, as the install script has it, for tables that Citus has
 *		distributed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "server/errors.h"
#include "store/shard_rows.h"
#include "store/statement.h"

#define INVENTORY \
	"SELECT user_id, provider, label, version," \
	" version OPERATOR(pg_catalog.=) pg_catalog.max(version) OVER (PARTITION BY user_id, provider, label) AS is_current," \
	" hint, root_key_id, created_at, expires_at," \
	" CASE WHEN expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() THEN 'expired' ELSE 'active' END AS status" \
	" FROM key_vault_data.secrets"

#define API_KEYS(of_user) \
	"SELECT s.user_id AS session_id, s.provider," \
	" '****' OPERATOR(pg_catalog.||) COALESCE(s.hint, '') AS key," \
	" s.first_created_at AS created_at, s.created_at AS updated_at" \
	" FROM (SELECT DISTINCT ON (user_id, provider) user_id, provider, hint, created_at, expires_at," \
	" pg_catalog.min(created_at) OVER (PARTITION BY user_id, provider) AS first_created_at" \
	" FROM key_vault_data.secrets WHERE label OPERATOR(pg_catalog.=) 'default'" of_user \
	" ORDER BY user_id, provider, version DESC) AS s" \
	" WHERE s.expires_at IS NULL OR s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"

#define MONTHLY_COSTS(of_user) \
	"SELECT user_id, provider, month, paid_by, requests, tokens, cost, NULLIF(team_id, '') AS team_id" \
	" FROM key_vault_data.usage" of_user

/* Counted first and by itself: Citus joins no shards with tables of this node. */
#define ROOT_KEYS \
	"WITH counts AS MATERIALIZED (SELECT root_key_id, pg_catalog.count(*) AS secrets" \
	" FROM key_vault_data.secrets GROUP BY root_key_id)" \
	" SELECT r.id, r.created_at, r.activated_at," \
	" CASE WHEN r.retired_at IS NOT NULL THEN 'retired'" \
	" WHEN key_vault.root_key_in_ring(r.id) IS NULL THEN 'unknown'" \
	" WHEN NOT key_vault.root_key_in_ring(r.id) THEN 'missing'" \
	" WHEN r.id OPERATOR(pg_catalog.=) (SELECT a.id FROM key_vault_data.root_key_registry a" \
	" WHERE a.retired_at IS NULL AND a.activated_at IS NOT NULL" \
	" ORDER BY a.activated_at DESC, a.id DESC LIMIT 1) THEN 'active'" \
	" ELSE 'standby' END AS state," \
	" COALESCE(c.secrets, 0)" \
	" OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM key_vault_data.sealed_records s" \
	" WHERE s.root_key_id OPERATOR(pg_catalog.=) r.id)" \
	" OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM key_vault_data.audit_keys k" \
	" WHERE k.root_key_id OPERATOR(pg_catalog.=) r.id) AS secrets" \
	" FROM key_vault_data.root_key_registry r" \
	" LEFT JOIN counts c ON c.root_key_id OPERATOR(pg_catalog.=) r.id"

static KvStatement of_all[] = {
	[KV_SHARD_INVENTORY] = {INVENTORY, 0},
	[KV_SHARD_API_KEYS] = {API_KEYS(""), 0},
	[KV_SHARD_MONTHLY_COSTS] = {MONTHLY_COSTS(""), 0},
	[KV_SHARD_ROOT_KEYS] = {ROOT_KEYS, 0}
};

static KvStatement of_user[] = {
	[KV_SHARD_API_KEYS] = {API_KEYS(" AND user_id OPERATOR(pg_catalog.=) $1"), 1, {TEXTOID}},
	[KV_SHARD_MONTHLY_COSTS] = {MONTHLY_COSTS(" WHERE user_id OPERATOR(pg_catalog.=) $1"), 1, {TEXTOID}}
};

/* The view names the columns, and who calls the function without it may name others. */
static void
check_columns(TupleDesc returned, TupleDesc wanted)
{
	bool		same = returned->natts == wanted->natts;

	for (int i = 0; same && i < wanted->natts; i++)
		same = TupleDescAttr(returned, i)->atttypid == TupleDescAttr(wanted, i)->atttypid;
	if (!same)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("the columns are not those of the view")));
}

void
kv_shard_rows_report(KvShardView view, text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	Datum		values[1] = {PointerGetDatum(user_id)};
	uint64		count;

	kv_spi_connect();
	if (user_id == NULL)
		count = kv_statement_run_as_owner(&of_all[view], NULL, NULL, 0);
	else
		count = kv_statement_run_as_owner(&of_user[view], values, NULL, 0);
	check_columns(SPI_tuptable->tupdesc, columns);
	for (uint64 i = 0; i < count; i++)
		tuplestore_puttuple(result, SPI_tuptable->vals[i]);
	SPI_finish();
}
