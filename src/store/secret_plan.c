/*
 * secret_plan.c
 *		The planner's way of reading key_vault_data.secrets: as the extension's
 *		owner, because the caller cannot name the table and would fail when a
 *		plan is made anew.
 *
 * So nothing here is left to the planner that protects a row: the statement names
 * the user, the caller's rights are checked first, and the table's policies for the
 * caller are run on every row, as the caller.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "store/policy.h"
#include "store/secret_plan.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define SELECT_OF_USER \
	"SELECT * FROM key_vault_data.secrets WHERE user_id OPERATOR(pg_catalog.=) $1"
#define SELECT_OF_LABEL SELECT_OF_USER " AND label OPERATOR(pg_catalog.=) $2"
#define SELECT_OF_NAME SELECT_OF_USER \
	" AND provider OPERATOR(pg_catalog.=) $2 AND label OPERATOR(pg_catalog.=) $3"

#define THREE_TEXTS TEXTOID, TEXTOID, TEXTOID
#define NEWEST_FIRST " ORDER BY provider DESC, label DESC, version DESC"

static KvStatement statements[] = {
	[KV_RANGE_NAME] = {SELECT_OF_NAME NEWEST_FIRST, 3, {THREE_TEXTS}},
	[KV_RANGE_VERSION] = {SELECT_OF_NAME " AND version OPERATOR(pg_catalog.=) $4", 4, {THREE_TEXTS, INT4OID}},
	[KV_RANGE_USER] = {SELECT_OF_USER NEWEST_FIRST, 1, {TEXTOID}},
	[KV_RANGE_USER_LABEL] = {SELECT_OF_LABEL NEWEST_FIRST, 2, {TEXTOID, TEXTOID}}
};

/* What the statement for the range is given. */
static void
fill_values(const KvRange *range, Datum *values)
{
	const KvSecretName *name = &range->name;

	values[0] = PointerGetDatum(name->user_id);
	values[1] = PointerGetDatum(range->kind == KV_RANGE_USER_LABEL ? name->label : name->provider);
	values[2] = PointerGetDatum(name->label);
	values[3] = Int32GetDatum(range->version);
}

/* Hands over those of the last statement's rows that the policies admit. */
static void
visit_rows(KvPolicy *policy, TupleTableSlot *slot, uint64 count, KvVisit visit,
		   void *arg)
{
	for (uint64 i = 0; i < count; i++)
	{
		kv_returned_store(slot, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		if (policy != NULL && !kv_policy_admits(policy, slot))
			continue;
		if (!visit(slot, arg))
			break;
	}
}

static void
run_and_visit(KvPolicy *policy, Relation rel, const KvRange *range, KvVisit visit,
			  void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleTableSlot *slot = kv_returned_slot(rel);
	Datum		values[4];
	uint64		count;

	fill_values(range, values);
	/* The policies see what a query sees, and what is out of line stays there. */
	PushActiveSnapshot(GetTransactionSnapshot());
	kv_spi_connect();
	count = kv_statement_run_as_owner(&statements[range->kind], values, NULL, 0);
	MemoryContextSwitchTo(caller);
	visit_rows(policy, slot, count, visit, arg);
	SPI_finish();
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
}

void
kv_plan_read(const KvRange *range, KvColumns columns, KvVisit visit, void *arg)
{
	Relation	rel;
	KvAccess   *access;

	/* As for any statement: not while the schema has another name. */
	(void) kv_schema();
	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	access = kv_access_hold(kv_access_now(rel));
	PG_TRY();
	{
		kv_access_check_rights(access, columns);
		run_and_visit(kv_access_read_policy(access, rel), rel, range, visit, arg);
	}
	PG_FINALLY();
	{
		kv_access_release(access);
	}
	PG_END_TRY();
	table_close(rel, NoLock);
}
