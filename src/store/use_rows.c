/*
 * use_rows.c
 *		The SQL on key_vault_data.last_uses, and on both tables of uses at once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/outcome_rows.h"
#include "store/secret_names.h"
#include "store/statement.h"
#include "store/use_rows.h"

static KvStatement select_of_user = {
	"SELECT provider, label, version, set_at, uses, last_used_at AS at, NULL AS outcome"
	" FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1"
	" UNION ALL SELECT provider, label, version, set_at, NULL, recorded_at, outcome"
	" FROM key_vault_data.outcomes WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement delete_of_name = {
	"DELETE FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1"
	" AND provider OPERATOR(pg_catalog.=) $2 AND label OPERATOR(pg_catalog.=) $3",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement delete_of_user = {
	"DELETE FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* $1 is only there because the names are in those after it. */
#define GONE_LOCKED(table, columns) \
	"WITH locked AS MATERIALIZED (SELECT u.* FROM key_vault_data." table " u, " KV_NAMES_IN_ARRAYS \
	" WHERE " KV_IS_SAME_NAME("u", "n") " AND $1" \
	" AND NOT EXISTS (SELECT FROM key_vault_data.secrets s WHERE " KV_IS_SAME_NAME("s", "n") ")" \
	" FOR UPDATE OF u SKIP LOCKED)" \
	" DELETE FROM key_vault_data." table " d USING locked l WHERE " KV_IS_SAME_NAME("d", "l") columns

static KvStatement delete_gone_uses = {
	GONE_LOCKED("last_uses", ""),
	4, {BOOLOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

static KvStatement delete_gone_outcomes = {
	GONE_LOCKED("outcomes", " AND d.recorded_by OPERATOR(pg_catalog.=) l.recorded_by"),
	4, {BOOLOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

/* A row of one of the tables: the outcome is NULL for one of uses. */
typedef struct Row
{
	text	   *provider;
	text	   *label;
	int32		version;
	TimestampTz set_at;
	int64		uses;
	TimestampTz at;
	text	   *outcome;
} Row;

struct KvUses
{
	uint64		count;
	Row			rows[FLEXIBLE_ARRAY_MEMBER];
};

static void
unpack(HeapTuple tuple, TupleDesc columns, Row *row)
{
	Datum		values[7];
	bool		nulls[7];

	heap_deform_tuple(tuple, columns, values, nulls);
	row->provider = DatumGetTextPCopy(values[0]);
	row->label = DatumGetTextPCopy(values[1]);
	row->version = DatumGetInt32(values[2]);
	row->set_at = DatumGetTimestampTz(values[3]);
	row->uses = nulls[4] ? 0 : DatumGetInt64(values[4]);
	row->at = DatumGetTimestampTz(values[5]);
	row->outcome = nulls[6] ? NULL : DatumGetTextPCopy(values[6]);
}

const KvUses *
kv_uses_read(text *user_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[1] = {PointerGetDatum(user_id)};
	uint64		count;
	KvUses	   *uses;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_of_user, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	uses = MemoryContextAllocHuge(caller, offsetof(KvUses, rows) + count * sizeof(Row));
	uses->count = count;
	for (uint64 i = 0; i < count; i++)
		unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &uses->rows[i]);
	SPI_finish();
	return uses;
}

static bool
is_same(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

KvUse
kv_uses_of(const KvUses *uses, const text *provider, const text *label, int32 version,
		   TimestampTz set_at)
{
	KvUse		use = {0};

	for (uint64 i = 0; i < uses->count; i++)
	{
		const Row  *row = &uses->rows[i];

		if (row->version != version || row->set_at != set_at ||
			!is_same(row->provider, provider) || !is_same(row->label, label))
			continue;
		if (row->outcome == NULL)
		{
			use.is_used = true;
			use.last_used_at = row->at;
			use.uses = row->uses;
		}
		else if (use.outcome == NULL || use.outcome_at < row->at)
		{
			use.outcome = row->outcome;
			use.outcome_at = row->at;
		}
	}
	return use;
}

void
kv_uses_delete(const KvSecretName *name)
{
	Datum		values[3];

	values[0] = PointerGetDatum(name->user_id);
	values[1] = PointerGetDatum(name->provider);
	values[2] = PointerGetDatum(name->label);
	(void) kv_statement_run_alone_as_owner(&delete_of_name, values);
	kv_outcome_rows_delete(name);
}

void
kv_uses_delete_user(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	(void) kv_statement_run_alone_as_owner(&delete_of_user, values);
	kv_outcome_rows_delete_user(user_id);
}

void
kv_uses_delete_gone(const KvSecretName *names, int count)
{
	Datum		values[4] = {BoolGetDatum(true)};

	kv_secret_names_pack(names, count, &values[1]);
	(void) kv_statement_run_alone_as_owner(&delete_gone_uses, values);
	(void) kv_statement_run_alone_as_owner(&delete_gone_outcomes, values);
}
