/*
 * row_policy.c
 *		Acts for the user of each row, for as long as its policy takes.
 */
#include "postgres.h"

#include "store/policy.h"
#include "store/secret_access.h"
#include "store/secret_table.h"
#include "vault/identity/identity.h"
#include "vault/identity/row_policy.h"

static void
check(char command, text *user_id, HeapTuple tuple, TupleDesc columns)
{
	KV_ACT_FOR(user_id);
	{
		kv_access_check_policy(command, tuple, columns);
	}
	KV_ACT_END();
}

void
kv_row_policy_check_update(text *user_id, HeapTuple tuple, TupleDesc columns)
{
	check(KV_POLICY_UPDATE, user_id, tuple, columns);
}

void
kv_row_policy_check_slot(text *user_id, KvPolicy *policy, Relation rel, TupleTableSlot *slot)
{
	if (policy == NULL)
		return;
	KV_ACT_FOR(user_id);
	{
		if (!kv_policy_admits(policy, slot))
			kv_secret_table_refuse(rel);
	}
	KV_ACT_END();
}

void
kv_row_policy_check_delete(text *user_id, HeapTuple tuple, TupleDesc columns)
{
	check(KV_POLICY_DELETE, user_id, tuple, columns);
}
