/*
 * access.c
 *		The SQL functions that set levels of access, and say what those are.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/identity/access.h"
#include "vault/identity/levels.h"

PG_FUNCTION_INFO_V1(kv_sql_grant_access);
PG_FUNCTION_INFO_V1(kv_sql_revoke_access);
PG_FUNCTION_INFO_V1(kv_sql_level_rights);

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
 * Gives a role the level user, service, admin, monitor or auditor.
 */
Datum
kv_sql_grant_access(PG_FUNCTION_ARGS)
{
	const char *role = role_from_args(fcinfo);
	const char *level;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("level is NULL"),
				 errhint(KV_LEVELS_HINT)));
	level = text_to_cstring(PG_GETARG_TEXT_PP(1));
	KV_AUDITED(call, .action = "grant_access", .subject = role);
	{
		kv_access_set_level(role, kv_level_by_name(level));
		call.subject = psprintf("%s: %s", role, level);
	}
	KV_AUDITED_END(call);
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
	const char *role = role_from_args(fcinfo);

	KV_AUDITED(call, .action = "revoke_access", .subject = role);
	{
		kv_access_take_level(role);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}

/*
 * key_vault.level_rights() returns table (privilege text, levels text[])
 *
 * What the levels consist of, for the view access.
 */
Datum
kv_sql_level_rights(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_levels_report(result->setResult, result->setDesc);
	return (Datum) 0;
}
