/*
 * row_policy.c
 *		Acts for the user of each row, for as long as its policy takes.
 */
#include "postgres.h"

#include "store/policy.h"
#include "store/secret_access.h"
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
kv_row_policy_check_delete(text *user_id, HeapTuple tuple, TupleDesc columns)
{
	check(KV_POLICY_DELETE, user_id, tuple, columns);
}
