/*
 * outcome_rows.c
 *		The SQL on key_vault_data.outcomes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/outcome_rows.h"
#include "store/outcome_scan.h"
#include "store/policy.h"
#include "store/statement.h"

#define FRESH_SECONDS 60

#define OF_NAME \
	"user_id OPERATOR(pg_catalog.=) $1 AND provider OPERATOR(pg_catalog.=) $2" \
	" AND label OPERATOR(pg_catalog.=) $3"
#define OF_VERSION OF_NAME \
	" AND version OPERATOR(pg_catalog.=) $4 AND set_at OPERATOR(pg_catalog.=) $5"

static KvStatement select_fresh = {
	"SELECT FROM key_vault_data.outcomes WHERE " OF_VERSION
	" AND recorded_by OPERATOR(pg_catalog.=) $6 AND outcome OPERATOR(pg_catalog.=) $7"
	" AND recorded_at OPERATOR(pg_catalog.>) $8",
	8, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
};

static KvStatement upsert = {
	"INSERT INTO key_vault_data.outcomes"
	" (user_id, provider, label, version, set_at, recorded_by, outcome, recorded_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (user_id, provider, label, recorded_by) DO UPDATE SET"
	" version = EXCLUDED.version, set_at = EXCLUDED.set_at, outcome = EXCLUDED.outcome,"
	" recorded_at = EXCLUDED.recorded_at RETURNING *",
	8, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
};

static KvStatement select_last = {
	"SELECT outcome, recorded_at FROM key_vault_data.outcomes WHERE " OF_VERSION
	" ORDER BY recorded_at DESC LIMIT 1",
	5, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
};

static KvStatement delete_of_name = {
	"WITH locked AS MATERIALIZED (SELECT recorded_by FROM key_vault_data.outcomes"
	" WHERE " OF_NAME " FOR UPDATE SKIP LOCKED)"
	" DELETE FROM key_vault_data.outcomes USING locked WHERE " OF_NAME
	" AND outcomes.recorded_by OPERATOR(pg_catalog.=) locked.recorded_by",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement delete_own = {
	"DELETE FROM key_vault_data.outcomes WHERE user_id OPERATOR(pg_catalog.=) $1"
	" AND recorded_by OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement delete_with_others = {
	"WITH locked AS MATERIALIZED (SELECT user_id, provider, label, recorded_by"
	" FROM key_vault_data.outcomes WHERE user_id OPERATOR(pg_catalog.=) $1"
	" OR recorded_by OPERATOR(pg_catalog.=) $1 AND recorded_by OPERATOR(pg_catalog.<>) user_id"
	" FOR UPDATE SKIP LOCKED)"
	" DELETE FROM key_vault_data.outcomes o USING locked l"
	" WHERE o.user_id OPERATOR(pg_catalog.=) l.user_id"
	" AND o.provider OPERATOR(pg_catalog.=) l.provider"
	" AND o.label OPERATOR(pg_catalog.=) l.label"
	" AND o.recorded_by OPERATOR(pg_catalog.=) l.recorded_by",
	1, {TEXTOID}
};

static void
name_values(const KvSecretName *name, Datum values[static 3])
{
	values[0] = PointerGetDatum(name->user_id);
	values[1] = PointerGetDatum(name->provider);
	values[2] = PointerGetDatum(name->label);
}

void
kv_outcome_row_record(const KvOutcomeRow *row)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[8];

	name_values(&row->name, values);
	values[3] = Int32GetDatum(row->version);
	values[4] = TimestampTzGetDatum(row->set_at);
	values[5] = PointerGetDatum(row->recorded_by);
	values[6] = PointerGetDatum(row->outcome);
	values[7] = TimestampTzGetDatum(now - FRESH_SECONDS * USECS_PER_SEC);
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_fresh, values, NULL, 1) == 0)
	{
		values[7] = TimestampTzGetDatum(now);
		kv_policy_check_returned("outcomes", KV_POLICY_INSERT,
								 kv_statement_run_as_owner(&upsert, values, NULL, 0));
	}
	SPI_finish();
}

static text *
last_by_plan(const KvSecretName *name, const KvSecretRow *row, TimestampTz *recorded_at)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[5];
	text	   *outcome = NULL;

	name_values(name, values);
	values[3] = Int32GetDatum(row->version);
	values[4] = TimestampTzGetDatum(row->created_at);
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_last, values, NULL, 1) > 0)
	{
		Datum		columns[2];
		bool		nulls[2];

		heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, nulls);
		MemoryContextSwitchTo(caller);
		outcome = DatumGetTextPCopy(columns[0]);
		*recorded_at = DatumGetTimestampTz(columns[1]);
	}
	SPI_finish();
	return outcome;
}

text *
kv_outcome_row_last(const KvSecretName *name, const KvSecretRow *row, TimestampTz *recorded_at)
{
	text	   *outcome;

	if (!kv_outcome_scan_last(name, row, &outcome, recorded_at))
		outcome = last_by_plan(name, row, recorded_at);
	return outcome;
}

void
kv_outcome_rows_delete(const KvSecretName *name)
{
	Datum		values[3];

	name_values(name, values);
	(void) kv_statement_run_alone_as_owner(&delete_of_name, values);
}

void
kv_outcome_rows_delete_user(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	(void) kv_statement_run_alone_as_owner(&delete_own, values);
	(void) kv_statement_run_alone_as_owner(&delete_with_others, values);
}
