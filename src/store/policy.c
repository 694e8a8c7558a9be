/*
 * policy.c
 *		Row-level security for rows that no planner put the policy on: those
 *		read the straight way, and those read or written as the extension's
 *		owner, whom PostgreSQL itself exempts.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "store/policy.h"
#include "store/statement.h"

struct KvPolicy
{
	MemoryContext context;
	EState	   *estate;
	ExprContext *econtext;
	List	   *permissive;		/* of ExprState: one of them must hold */
	List	   *restrictive;	/* of ExprState: all of them must hold */
};

/* The roles that a policy is for: a palloc'd array of OIDs. */
static Datum *
roles_of(const RowSecurityPolicy *policy, int *count)
{
	Datum	   *roles;

	deconstruct_array(policy->roles, OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &roles, NULL, count);
	return roles;
}

static bool
is_for_public(const RowSecurityPolicy *policy)
{
	int			count;
	Datum	   *roles = roles_of(policy, &count);

	return count == 1 && DatumGetObjectId(roles[0]) == ACL_ID_PUBLIC;
}

bool
kv_policy_is_single(Relation rel)
{
	RowSecurityPolicy *policy;

	if (!rel->rd_rel->relrowsecurity || rel->rd_rsdesc == NULL ||
		list_length(rel->rd_rsdesc->policies) != 1)
		return false;

	policy = linitial(rel->rd_rsdesc->policies);
	return policy->polcmd == '*' && policy->permissive && policy->qual != NULL &&
		policy->with_check_qual == NULL && !policy->hassublinks &&
		is_for_public(policy);
}

static bool
is_for_user(const RowSecurityPolicy *policy, Oid user)
{
	int			count;
	Datum	   *roles = roles_of(policy, &count);

	for (int i = 0; i < count; i++)
	{
		Oid			role = DatumGetObjectId(roles[i]);

		if (role == ACL_ID_PUBLIC || has_privs_of_role(user, role))
			return true;
	}
	return false;
}

static void
add_policy(KvPolicy *policy, const RowSecurityPolicy *source, Relation rel,
		   char command)
{
	List	   *quals = NIL;
	ExprState  *state;

	if (source->qual != NULL &&
		(command != KV_POLICY_INSERT || source->with_check_qual == NULL))
		quals = lappend(quals, copyObject(source->qual));
	if (source->with_check_qual != NULL &&
		(command == KV_POLICY_INSERT || command == KV_POLICY_UPDATE))
		quals = lappend(quals, copyObject(source->with_check_qual));
	if (quals == NIL)
		return;
	if (source->hassublinks)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("policy \"%s\" on table \"%s\" has a subquery",
						source->policy_name, RelationGetRelationName(rel)),
				 errdetail("key_vault runs the policies on every row that it reads, writes or removes."),
				 errhint("Put the subquery into a function that the policy calls.")));

	state = ExecPrepareQual(quals, policy->estate);
	if (source->permissive)
		policy->permissive = lappend(policy->permissive, state);
	else
		policy->restrictive = lappend(policy->restrictive, state);
}

KvPolicy *
kv_policy_prepare(Relation rel, char command, MemoryContext parent)
{
	MemoryContext context;
	MemoryContext caller;
	KvPolicy   *policy;
	ListCell   *cell;

	if (!rel->rd_rel->relrowsecurity)
		return NULL;

	context = AllocSetContextCreate(parent, "key_vault policy",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	policy = palloc0(sizeof(KvPolicy));
	policy->context = context;
	policy->estate = CreateExecutorState();
	MemoryContextSwitchTo(policy->estate->es_query_cxt);
	policy->econtext = CreateExprContext(policy->estate);
	if (rel->rd_rsdesc != NULL)
	{
		foreach(cell, rel->rd_rsdesc->policies)
		{
			RowSecurityPolicy *source = lfirst(cell);

			if ((source->polcmd == '*' || source->polcmd == command) &&
				is_for_user(source, GetUserId()))
				add_policy(policy, source, rel, command);
		}
	}
	MemoryContextSwitchTo(caller);
	return policy;
}

bool
kv_policy_admits(KvPolicy *policy, TupleTableSlot *slot)
{
	bool		admitted = false;
	ListCell   *cell;

	policy->econtext->ecxt_scantuple = slot;
	foreach(cell, policy->permissive)
	{
		if (ExecQual(lfirst(cell), policy->econtext))
		{
			admitted = true;
			break;
		}
	}
	foreach(cell, policy->restrictive)
	{
		if (!admitted)
			break;
		admitted = ExecQual(lfirst(cell), policy->econtext);
	}
	policy->econtext->ecxt_scantuple = NULL;
	ResetExprContext(policy->econtext);
	return admitted;
}

TupleTableSlot *
kv_returned_slot(Relation rel)
{
	return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

void
kv_returned_store(TupleTableSlot *slot, HeapTuple tuple, TupleDesc columns)
{
	TupleDesc	shape = slot->tts_tupleDescriptor;
	int			column = 0;

	ExecClearTuple(slot);
	for (int i = 0; i < shape->natts; i++)
	{
		slot->tts_values[i] = (Datum) 0;
		slot->tts_isnull[i] = true;
		if (!TupleDescAttr(shape, i)->attisdropped && column < columns->natts)
			slot->tts_values[i] = heap_getattr(tuple, ++column, columns,
											   &slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(slot);
}

bool
kv_policy_admits_returned(KvPolicy *policy, Relation rel, HeapTuple tuple,
						  TupleDesc columns)
{
	TupleTableSlot *slot = kv_returned_slot(rel);
	bool		admitted;

	kv_returned_store(slot, tuple, columns);
	admitted = kv_policy_admits(policy, slot);
	ExecDropSingleTupleTableSlot(slot);
	return admitted;
}

void
kv_policy_check_returned(const char *table, char command, uint64 count)
{
	Relation	rel = table_open(get_relname_relid(table, kv_data_schema()), AccessShareLock);
	KvPolicy   *policy = kv_policy_prepare(rel, command, CurrentMemoryContext);

	for (uint64 i = 0; policy != NULL && i < count; i++)
	{
		if (!kv_policy_admits_returned(policy, rel, SPI_tuptable->vals[i],
									   SPI_tuptable->tupdesc))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("row-level security policy of table \"%s\" refuses the row",
							RelationGetRelationName(rel))));
	}
	kv_policy_free(policy);
	table_close(rel, NoLock);
}

void
kv_policy_free(KvPolicy *policy)
{
	if (policy != NULL)
		MemoryContextDelete(policy->context);
}
