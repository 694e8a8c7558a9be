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

#include "access/xact.h"
#include "executor/execdesc.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "api/by_token.h"
#include "server/compat.h"

extern PGDLLEXPORT Datum kv_sql_authenticate(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kv_sql_get(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kv_sql_require(PG_FUNCTION_ARGS);

/* Where else an expression says at which byte of the text it stands: this one is ours. */
#define IS_CONDITION (-1701)

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

	call->location = IS_CONDITION;
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

/*
 * Whether the client's own statement has this call.  The portals of functions, and those
 * that EXECUTE makes, have names.
 */
static bool
is_of_portal(const FuncExpr *call)
{
	QueryDesc  *running = ActivePortal != NULL && ActivePortal->name[0] == '\0' ?
		ActivePortal->queryDesc : NULL;
	const Plan *plan = running != NULL ? running->plannedstmt->planTree : NULL;
	const List *condition;

	if (plan == NULL || !IsA(plan, Result))
		return false;
	condition = (const List *) ((const Result *) plan)->resconstantqual;
	return list_length(condition) == 1 && IsA(linitial(condition), NullTest) &&
		((NullTest *) linitial(condition))->arg == (Expr *) call;
}

bool
kv_by_token_is_alone(const FmgrInfo *authenticate)
{
	const FuncExpr *call = (const FuncExpr *) authenticate->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && call->location == IS_CONDITION &&
		GetCurrentTransactionNestLevel() == 1 && !IsTransactionBlock() && is_of_portal(call);
}

void
kv_by_token_init(void)
{
	previous_planner = planner_hook;
	planner_hook = plan;
}
