/*
 * access.c
 *		Which level a role has: grants and revokes what the list of levels says,
 *		and checks that it took.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/statement.h"
#include "vault/identity/access.h"

static void
check_may_change_parameter(const char *role)
{
	if (superuser())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be superuser to give or take level \"service\""),
			 errdetail("The level holds SET on parameters, for the whole cluster."),
			 errhint("Have a superuser call key_vault.grant_access() for role \"%s\".", role)));
}

/* Once for all parameters of the level. */
static void
tell_of_parameters(const char *role)
{
	ereport(NOTICE,
			(errmsg("role \"%s\" may no longer act for any user in any database of the cluster", role),
			 errhint("Where it shall, call key_vault.grant_access() in that database again.")));
}

/* A GRANT by somebody without the right to grant is only a WARNING. */
static void
check_level(const char *role, Oid role_oid, KvLevel level)
{
	const KvRight *right;

	for (int i = 0; (right = kv_level_right(i)) != NULL; i++)
	{
		KvRightState unwanted = kv_level_holds(level, i) ? KV_RIGHT_NOT_HELD : KV_RIGHT_HELD;

		if (kv_right_state(role_oid, right) == unwanted)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("could not change the level of role \"%s\"", role),
					 errdetail("%s could not be %s.", kv_right_text(right),
							   unwanted == KV_RIGHT_HELD ? "revoked" : "granted"),
					 errhint("Call it as the owner of the extension or as a superuser.")));
	}
}

static void
change_level(const char *role, Oid role_oid, KvLevel level)
{
	const KvRight *right;
	bool		took_parameter = false;

	if (level == KV_LEVEL_SERVICE)
		check_may_change_parameter(role);

	for (int i = 0; (right = kv_level_right(i)) != NULL; i++)
	{
		KvRightState state = kv_right_state(role_oid, right);

		if (kv_level_holds(level, i) && state != KV_RIGHT_NO_OBJECT)
			kv_right_grant(role, right);
		else if (!kv_level_holds(level, i) && state == KV_RIGHT_HELD)
		{
			if (right->kind == KV_RIGHT_PARAMETER)
			{
				check_may_change_parameter(role);
				took_parameter = true;
			}
			kv_right_revoke(role, right);
		}
	}
	if (took_parameter)
		tell_of_parameters(role);
	CommandCounterIncrement();
	check_level(role, role_oid, level);
}

void
kv_access_set_level(const char *role, KvLevel level)
{
	change_level(role, get_role_oid(role, false), level);
}

void
kv_access_take_level(const char *role)
{
	Oid			role_oid = get_role_oid(role, false);
	Oid			schema;

	change_level(role, role_oid, KV_LEVEL_NONE);

	schema = kv_schema();
	if (!superuser_arg(role_oid) && kv_may_use_schema(schema, role_oid))
		ereport(WARNING,
				(errmsg("role \"%s\" still reaches key_vault through another role", role),
				 errhint("Revoke the membership, or the other role's level; see the view key_vault.access.")));
}

bool
kv_access_sees_all_users(void)
{
	Oid			inventory = get_relname_relid("inventory",
											  kv_schema());

	return OidIsValid(inventory) &&
		pg_class_aclcheck(inventory, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}
