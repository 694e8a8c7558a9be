/*
 * secret_checks.c
 *		What the executor would run for a row of key_vault_data.secrets that is written:
 *		prepared once, because it reads the table's CHECK constraints from their text.
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "store/secret_checks.h"
#include "store/secret_indexes.h"
#include "store/secret_table.h"

static bool
is_foreign(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Another's function is for the owner to run, and may come back here meanwhile. */
static bool
calls_foreign_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_foreign, context) ||
		expression_tree_walker(node, calls_foreign_function, context);
}

/* False when there is one that calls a foreign function. */
static bool
prepare_checks(KvRowChecks *new, const TupleConstr *constraints, EState *estate)
{
	new->constraints = palloc0(sizeof(ExprState *) * Max(constraints->num_check, 1));
	for (int i = 0; i < constraints->num_check; i++)
	{
		Node	   *expression;

		if (!kv_check_is_enforced(&constraints->check[i]))
			continue;
		expression = stringToNode(constraints->check[i].ccbin);
		if (calls_foreign_function(expression, NULL))
			return false;
		new->constraints[i] = ExecPrepareExpr((Expr *) expression, estate);
	}
	return true;
}

/* False when it calls a foreign function. */
static bool
prepare_created_at(KvRowChecks *new, Relation rel, EState *estate)
{
	Node	   *expression = build_column_default(rel, KV_SECRETS_CREATED_AT);

	if (expression != NULL && calls_foreign_function(expression, NULL))
		return false;
	if (expression != NULL)
		new->created_at = ExecPrepareExpr((Expr *) expression, estate);
	return true;
}

/* Whether the table has our columns only. */
static bool
has_our_columns(Relation rel)
{
	TupleDesc	columns = RelationGetDescr(rel);
	bool		nothing_else = columns->natts == KV_SECRETS_COLUMNS &&
		columns->constr != NULL;

	for (int i = 0; nothing_else && i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		nothing_else = !column->attisdropped && column->attgenerated == '\0';
	}
	return nothing_else;
}

static KvRowChecks *
prepare(KvAccess *access, Relation rel)
{
	MemoryContext caller = MemoryContextSwitchTo(access->context);
	KvRowChecks *new = palloc0(sizeof(KvRowChecks));

	new->estate = CreateExecutorState();
	new->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
										 &TTSOpsVirtual);
	new->possible = has_our_columns(rel) && kv_secret_indexes_are_ours(rel) &&
		prepare_checks(new, RelationGetDescr(rel)->constr, new->estate) &&
		prepare_created_at(new, rel, new->estate);
	MemoryContextSwitchTo(caller);
	return new;
}

KvRowChecks *
kv_row_checks(KvAccess *access, Relation rel)
{
	if (access->checks == NULL)
		access->checks = prepare(access, rel);
	return access->checks->possible ? access->checks : NULL;
}
