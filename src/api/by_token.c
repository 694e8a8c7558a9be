/*
 * by_token.c
 *		SELECT key_vault.get(NULL, ...) FROM key_vault.authenticate(...), planned without a scan.
 *
 * The server materialises what a function in FROM returns, which takes longer than the
 * looking at a token that is remembered.  Where nobody asks for that row, the function is
 * called as a condition instead, once, before anything is selected.  authenticate() never
 * returns NULL, so the condition holds whenever it returns at all.
 *
 * Only statements are taken that select keys by our own functions and nothing else.  Rights
 * are checked as ever: the function is still in the plan.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "utils/lsyscache.h"

#include "api/by_token.h"
#include "server/compat.h"

extern PGDLLEXPORT Datum kv_sql_authenticate(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kv_sql_get(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kv_sql_require(PG_FUNCTION_ARGS);

static planner_hook_type previous_planner = NULL;

/* By what is called: others may have functions of the same names. */
static bool
calls(const FuncExpr *call, const char *name, PGFunction function)
{
	char	   *called = get_func_name(call->funcid);
	FmgrInfo	info;

	if (called == NULL || strcmp(called, name) != 0)
		return false;
	fmgr_info(call->funcid, &info);
	return info.fn_addr == function;
}

static bool
is_given(Node *argument)
{
	while (IsA(argument, NamedArgExpr) || IsA(argument, RelabelType))
		argument = IsA(argument, NamedArgExpr) ? (Node *) ((NamedArgExpr *) argument)->arg :
			(Node *) ((RelabelType *) argument)->arg;
	return IsA(argument, Const) ||
		(IsA(argument, Param) && ((Param *) argument)->paramkind == PARAM_EXTERN);
}

static bool
takes_key(const FuncExpr *call)
{
	ListCell   *cell;

	foreach(cell, call->args)
	{
		if (!is_given(lfirst(cell)))
			return false;
	}
	return calls(call, "get", kv_sql_get) || calls(call, "require", kv_sql_require);
}

static bool
selects_keys_only(const Query *query)
{
	ListCell   *cell;

	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (!IsA(entry->expr, FuncExpr) || !takes_key((FuncExpr *) entry->expr))
			return false;
	}
	return query->targetList != NIL;
}

static bool
is_plain(const Query *query)
{
	return query->commandType == CMD_SELECT && list_length(query->rtable) == 1 &&
		query->jointree->quals == NULL && list_length(query->jointree->fromlist) == 1 &&
		IsA(linitial(query->jointree->fromlist), RangeTblRef) &&
		query->cteList == NIL && query->setOperations == NULL && query->rowMarks == NIL &&
		query->groupClause == NIL && query->groupingSets == NIL && query->havingQual == NULL &&
		query->distinctClause == NIL && query->sortClause == NIL && query->windowClause == NIL &&
		query->limitOffset == NULL && query->limitCount == NULL && !query->hasSubLinks;
}

/* The call that is all of FROM, or NULL. */
static FuncExpr *
authenticating(const Query *query)
{
	RangeTblEntry *entry = linitial(query->rtable);
	RangeTblFunction *scanned;

	if (entry->rtekind != RTE_FUNCTION || entry->funcordinality ||
		list_length(entry->functions) != 1)
		return NULL;
	scanned = linitial(entry->functions);
	if (!IsA(scanned->funcexpr, FuncExpr) ||
		!calls((FuncExpr *) scanned->funcexpr, "authenticate", kv_sql_authenticate))
		return NULL;
	return (FuncExpr *) scanned->funcexpr;
}

/* As the server does with a function of which it knows the result. */
static void
make_condition(Query *query, FuncExpr *call)
{
	RangeTblEntry *entry = linitial(query->rtable);
	NullTest   *condition = makeNode(NullTest);

	condition->arg = (Expr *) call;
	condition->nulltesttype = IS_NOT_NULL;
	condition->location = -1;
	query->jointree->quals = (Node *) condition;
	entry->rtekind = RTE_RESULT;
	entry->functions = NIL;
}

static PlannedStmt *
plan(KV_PLANNER_PARAMETERS)
{
	FuncExpr   *call = is_plain(query) ? authenticating(query) : NULL;

	if (call != NULL && selects_keys_only(query))
		make_condition(query, call);
	if (previous_planner)
		return previous_planner(KV_PLANNER_ARGUMENTS);
	return standard_planner(KV_PLANNER_ARGUMENTS);
}

void
kv_by_token_init(void)
{
	previous_planner = planner_hook;
	planner_hook = plan;
}
