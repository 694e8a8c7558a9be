/*
 * discard_rows.c
 *		The SQL of giving up what a root key sealed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "store/discard_rows.h"
#include "store/secret_names.h"
#include "store/shards.h"
#include "store/statement.h"
#include "store/use_rows.h"

static KvStatement count_secrets = {
	"SELECT pg_catalog.count(*) FROM key_vault_data.secrets"
	" WHERE root_key_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement count_audit_keys = {
	"SELECT pg_catalog.count(*) FROM key_vault_data.audit_keys"
	" WHERE root_key_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement select_next = {
	"SELECT DISTINCT s.user_id, s.provider, s.label FROM key_vault_data.secrets s"
	" WHERE s.root_key_id OPERATOR(pg_catalog.=) $1"
	" AND ROW(s.user_id, s.provider, s.label) OPERATOR(pg_catalog.>) ROW($2, $3, $4)"
	" ORDER BY s.user_id, s.provider, s.label LIMIT $5",
	5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
};

/*
 * Judged by the rows as they are once they are locked: all of a name, or none.  in_shard is
 * for the shard that all names are in.
 */
#define DELETE_BATCH(in_shard) \
	"WITH names AS MATERIALIZED (SELECT * FROM " KV_NAMES_IN_ARRAYS ")," \
	" locked AS MATERIALIZED (SELECT s.user_id, s.provider, s.label, s.version, s.root_key_id" \
	" FROM key_vault_data.secrets s, names n WHERE " KV_IS_SAME_NAME("s", "n") in_shard \
	" FOR UPDATE OF s SKIP LOCKED)," \
	" whole AS MATERIALIZED (SELECT l.user_id, l.provider, l.label," \
	" (pg_catalog.array_agg(l.root_key_id ORDER BY l.version DESC))[1]" \
	" OPERATOR(pg_catalog.=) $1 AS current_is_lost FROM locked l" \
	" GROUP BY l.user_id, l.provider, l.label" \
	" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=)" \
	" (SELECT pg_catalog.count(*) FROM key_vault_data.secrets s WHERE " KV_IS_SAME_NAME("s", "l") in_shard "))" \
	" DELETE FROM key_vault_data.secrets s USING whole w WHERE " KV_IS_SAME_NAME("s", "w") in_shard \
	" AND (w.current_is_lost OR s.root_key_id OPERATOR(pg_catalog.=) $1)" \
	" RETURNING s.*"

/* Every version of a name of which one is still sealed with it. */
#define SELECT_LEFT(table, in_shard) \
	"SELECT tab, place, is_lost FROM (" \
	" SELECT " table " AS tab, s.ctid AS place," \
	" s.root_key_id OPERATOR(pg_catalog.=) $1 AS is_lost," \
	" pg_catalog.bool_or(s.root_key_id OPERATOR(pg_catalog.=) $1)" \
	" OVER (PARTITION BY s.user_id, s.provider, s.label) AS any_lost" \
	" FROM key_vault_data.secrets s, " KV_NAMES_IN_ARRAYS " WHERE " KV_IS_SAME_NAME("s", "n") in_shard \
	") AS s WHERE any_lost"

#define NAMES_ARGUMENTS 4, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}

static KvStatement delete_batch = {DELETE_BATCH(""), NAMES_ARGUMENTS};
static KvStatement delete_in_shard = {DELETE_BATCH(KV_IN_SHARD("s", "$2")), NAMES_ARGUMENTS};
static KvStatement select_left = {SELECT_LEFT("s.tableoid", ""), NAMES_ARGUMENTS};
static KvStatement select_left_in_shard = {SELECT_LEFT(KV_NO_TABLE, KV_IN_SHARD("s", "$2")), NAMES_ARGUMENTS};

static int64
count(KvStatement *statement, const char *root_key_id)
{
	Datum		values[1];
	int64		rows;
	bool		isnull;

	values[0] = CStringGetTextDatum(root_key_id);
	kv_spi_connect();
	(void) kv_statement_run_as_owner(statement, values, NULL, 0);
	rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return rows;
}

/* Two statements: Citus does not count shards and a table of this node in one. */
int64
kv_discard_rows_count(const char *root_key_id)
{
	return count(&count_secrets, root_key_id) + count(&count_audit_keys, root_key_id);
}

int
kv_discard_rows_next(const char *root_key_id, const KvSecretName *after,
					 int limit, KvSecretName **names)
{
	int			nest_level = kv_statement_keep_to_primary_key();
	Datum		values[5];
	int			count;

	values[0] = CStringGetTextDatum(root_key_id);
	kv_secret_names_after(after, &values[1]);
	values[4] = Int64GetDatum(limit);
	count = kv_secret_names_select(&select_next, values, names);
	AtEOXact_GUC(true, nest_level);
	return count;
}

uint64
kv_discard_rows_delete(const char *root_key_id, const KvSecretName *names, int count,
					   void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns))
{
	const KvNamesStatement statement = {&delete_batch, &delete_in_shard};
	uint64		removed = kv_secret_names_delete(&statement, CStringGetTextDatum(root_key_id),
												 names, count, check);

	kv_uses_delete_gone(names, count);
	return removed;
}

int
kv_discard_rows_left(const char *root_key_id, const KvSecretName *names, int count,
					 KvRowHolders *holders)
{
	const KvNamesStatement statement = {&select_left, &select_left_in_shard};

	return kv_secret_names_left(&statement, CStringGetTextDatum(root_key_id),
								names, count, holders);
}
