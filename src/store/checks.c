/*
 * checks.c
 *		CHECK constraints that are prepared once and lent to the executor.
 *
 * It is the executor that runs them, on every row, and that says which one
 * failed: only where it finds them is changed.
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "store/checks.h"

struct KvChecks
{
	Oid			relid;
	ExprState **states;			/* in the order of the relation's descriptor */
};

static KvChecks *lent = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;

static void
start_executor(QueryDesc *query, int flags)
{
	KvChecks   *checks = lent;
	ListCell   *cell;

	lent = NULL;
	if (previous_executor_start)
		previous_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (checks == NULL)
		return;

	foreach(cell, query->estate->es_opened_result_relations)
	{
		ResultRelInfo *target = lfirst(cell);

		if (RelationGetRelid(target->ri_RelationDesc) == checks->relid)
			target->ri_CheckConstraintExprs = checks->states;
	}
}

void
kv_checks_init(void)
{
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
}

static bool
is_foreign(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Another's function may come back here while the constraint is running. */
static bool
calls_foreign_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_foreign, context) ||
		expression_tree_walker(node, calls_foreign_function, context);
}

KvChecks *
kv_checks_prepare(Relation rel, MemoryContext parent)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	int			count = constraints ? constraints->num_check : 0;
	MemoryContext caller = MemoryContextSwitchTo(parent);
	KvChecks   *checks = palloc0(sizeof(KvChecks));
	EState	   *estate = CreateExecutorState();

	checks->relid = RelationGetRelid(rel);
	checks->states = palloc0(sizeof(ExprState *) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Node	   *expression;

		if (!kv_check_is_enforced(&constraints->check[i]))
			continue;
		expression = stringToNode(constraints->check[i].ccbin);
		if (calls_foreign_function(expression, NULL))
		{
			checks = NULL;
			break;
		}
		checks->states[i] = ExecPrepareExpr((Expr *) expression, estate);
	}
	MemoryContextSwitchTo(caller);
	return checks;
}

void
kv_checks_lend(KvChecks *checks)
{
	lent = checks;
}
