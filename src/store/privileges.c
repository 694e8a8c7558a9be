/*
 * privileges.c
 *		The executor's check of privileges, and what auditors see of it.
 *
 * An auditor's hook into the check may count only what a starting executor checks
 * (pgaudit's does, since 19).  So where anybody hooks in, an executor is started, for
 * a statement that reads the table and returns nothing.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "store/privileges.h"

static const char *const audited_text = "SELECT FROM key_vault_data.secrets WHERE false";

/* What the planner would make of that text, were it asked. */
static PlannedStmt *
plan_of_nothing(List *range_table, List *permissions)
{
	PlannedStmt *plan = makeNode(PlannedStmt);
	Result	   *nothing = makeNode(Result);

	nothing->resconstantqual = (Node *) list_make1(makeBoolConst(false, false));
	plan->commandType = CMD_SELECT;
	plan->canSetTag = true;
	plan->planTree = (Plan *) nothing;
	plan->rtable = range_table;
	kv_set_permissions(plan, permissions);
	return plan;
}

static void
check_by_executor(List *range_table, List *permissions)
{
	QueryDesc  *query = CreateQueryDesc(plan_of_nothing(range_table, permissions),
										audited_text, GetActiveSnapshot(),
										InvalidSnapshot, None_Receiver, NULL, NULL, 0);

	/* it is started for its checks only, as EXPLAIN does */
	ExecutorStart(query, EXEC_FLAG_EXPLAIN_ONLY);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

bool
kv_privileges_are_watched(void)
{
	return ExecutorCheckPerms_hook != NULL;
}

void
kv_privileges_check(List *range_table, List *permissions)
{
	if (kv_privileges_are_watched())
		check_by_executor(range_table, permissions);
	else
		kv_check_permissions(range_table, permissions);
}
