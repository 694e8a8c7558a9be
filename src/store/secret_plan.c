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
#define SELECT_OF_NAME SELECT_OF_USER \
	" AND provider OPERATOR(pg_catalog.=) $2 AND label OPERATOR(pg_catalog.=) $3"

static KvStatement select_name = {
	SELECT_OF_NAME " ORDER BY version DESC",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_version = {
	SELECT_OF_NAME " AND version OPERATOR(pg_catalog.=) $4",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement select_user_label = {
	SELECT_OF_USER " AND label OPERATOR(pg_catalog.=) $2 ORDER BY provider DESC, version DESC",
	2, {TEXTOID, TEXTOID}
};

static KvStatement select_user = {
	SELECT_OF_USER " ORDER BY provider DESC, label DESC, version DESC",
	1, {TEXTOID}
};

/* Hands over those of the last statement's rows that the policies admit. */
static void
visit_rows(KvPolicy *policy, TupleTableSlot *slot, uint64 count, KvReadRow visit,
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
run_and_visit(KvPolicy *policy, Relation rel, KvStatement *statement, Datum *values,
			  KvReadRow visit, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleTableSlot *slot = kv_returned_slot(rel);
	uint64		count;

	/* The policies see what a query sees, and what is out of line stays there. */
	PushActiveSnapshot(GetTransactionSnapshot());
	kv_spi_connect();
	count = kv_statement_run_as_owner(statement, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	visit_rows(policy, slot, count, visit, arg);
	SPI_finish();
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
}

static void
read_rows(KvStatement *statement, Datum *values, KvColumns columns, KvReadRow visit,
		  void *arg)
{
	Relation	rel;
	KvAccess   *access;

	(void) kv_schema();
	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	access = kv_access_hold(kv_access_now(rel));
	PG_TRY();
	{
		kv_access_check_rights(access, columns);
		run_and_visit(kv_access_read_policy(access, rel), rel, statement, values,
					  visit, arg);
	}
	PG_FINALLY();
	{
		kv_access_release(access);
	}
	PG_END_TRY();
	table_close(rel, NoLock);
}

void
kv_plan_read_name(const KvSecretName *name, KvColumns columns, KvReadRow visit,
				  void *arg)
{
	Datum		values[3] = {PointerGetDatum(name->user_id),
	PointerGetDatum(name->provider), PointerGetDatum(name->label)};

	read_rows(&select_name, values, columns, visit, arg);
}

void
kv_plan_read_version(const KvSecretName *name, int32 version, KvColumns columns,
					 KvReadRow visit, void *arg)
{
	Datum		values[4] = {PointerGetDatum(name->user_id),
		PointerGetDatum(name->provider), PointerGetDatum(name->label),
	Int32GetDatum(version)};

	read_rows(&select_version, values, columns, visit, arg);
}

void
kv_plan_read_user(text *user_id, KvColumns columns, KvReadRow visit, void *arg)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	read_rows(&select_user, values, columns, visit, arg);
}

void
kv_plan_read_user_label(text *user_id, text *label, KvColumns columns, KvReadRow visit,
						void *arg)
{
	Datum		values[2] = {PointerGetDatum(user_id), PointerGetDatum(label)};

	read_rows(&select_user_label, values, columns, visit, arg);
}
