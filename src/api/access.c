/*
 * access.c
 *		The SQL functions that set levels of access.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "server/errors.h"
#include "vault/identity/access.h"

PG_FUNCTION_INFO_V1(kv_sql_grant_access);
PG_FUNCTION_INFO_V1(kv_sql_revoke_access);
PG_FUNCTION_INFO_V1(kv_sql_add_level_privilege);

static const char *
role_from_args(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("role is NULL")));
	return NameStr(*PG_GETARG_NAME(0));
}

/*
 * key_vault.grant_access(role name, level text) returns void
 *
 * Gives a role the level user, service or admin.
 */
Datum
kv_sql_grant_access(PG_FUNCTION_ARGS)
{
	const char *role = role_from_args(fcinfo);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("level is NULL"),
				 errhint("The levels are user, service and admin.")));
	kv_access_set_level(role, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/*
 * key_vault.revoke_access(role name) returns void
 *
 * Takes a role's level away.
 */
Datum
kv_sql_revoke_access(PG_FUNCTION_ARGS)
{
	kv_access_take_level(role_from_args(fcinfo));
	PG_RETURN_VOID();
}

/*
 * key_vault.add_level_privilege(level text, kind text, object text,
 *								 privilege text) returns void
 *
 * For update scripts: what they bring reaches the roles that have the level.
 */
Datum
kv_sql_add_level_privilege(PG_FUNCTION_ARGS)
{
	kv_access_extend_level(text_to_cstring(PG_GETARG_TEXT_PP(0)),
						   text_to_cstring(PG_GETARG_TEXT_PP(1)),
						   text_to_cstring(PG_GETARG_TEXT_PP(2)),
						   text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_VOID();
}
