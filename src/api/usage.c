/*
 * usage.c
 *		The SQL functions behind who pays for what, and who sees it.
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/identity/access.h"
#include "vault/providers/usage.h"

PG_FUNCTION_INFO_V1(kv_sql_record_usage);
PG_FUNCTION_INFO_V1(kv_sql_sees_all_users);

/*
 * key_vault.record_usage(user_id text, provider text, requests bigint,
 *						  tokens bigint, cost numeric) returns void
 *
 * Adds to what a user used of a provider this month.
 */
Datum
kv_sql_record_usage(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("requests, tokens and cost must not be NULL")));
	kv_usage_record(KV_GETARG_TEXT_OR_NULL(0), KV_GETARG_TEXT_OR_NULL(1),
					PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_DATUM(4));
	PG_RETURN_VOID();
}

/*
 * key_vault.sees_all_users() returns boolean
 *
 * Whether the current role may see the masked rows of all users: an admin.
 */
Datum
kv_sql_sees_all_users(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kv_access_sees_all_users());
}
