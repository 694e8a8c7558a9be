/*
 * access.c
 *		Which level a role has: grants and revokes what the table of levels
 *		lists, and checks that it took.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/access_rows.h"
#include "store/statement.h"
#include "vault/identity/access.h"

/* Whether the rights of level contain one that is listed under listed. */
static bool
level_contains(const char *level, const char *listed)
{
	return level != NULL &&
		(strcmp(level, listed) == 0 ||
		 (strcmp(level, "service") == 0 && strcmp(listed, "user") == 0));
}

static bool
is_parameter(const KvPrivilege *privilege)
{
	return strcmp(privilege->kind, "parameter") == 0;
}

static bool
same_right(const KvPrivilege *a, const KvPrivilege *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->object, b->object) == 0 &&
		strcmp(a->privilege, b->privilege) == 0;
}

/* Whether any row that belongs to the level names the right. */
static bool
level_has_right(const char *level, const KvPrivilege *right,
				const KvPrivilege *all, uint64 count)
{
	for (uint64 i = 0; i < count; i++)
	{
		if (level_contains(level, all[i].level) && same_right(&all[i], right))
			return true;
	}
	return false;
}

static void
check_may_change_parameter(const char *role)
{
	if (superuser())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be superuser to give or take level \"service\""),
			 errdetail("The level holds SET on parameter \"key_vault.user_id\", for the whole cluster."),
			 errhint("Have a superuser call key_vault.grant_access() for role \"%s\".", role)));
}

/* level NULL takes all away. */
static void
change_level(const char *role, const char *level)
{
	KvPrivilege *all;
	uint64		count = kv_access_rows_load(&all);

	if (level != NULL && strcmp(level, "service") == 0)
		check_may_change_parameter(role);

	for (uint64 i = 0; i < count; i++)
	{
		if (level_has_right(level, &all[i], all, count) ||
			!kv_access_is_granted(role, &all[i]))
			continue;
		if (is_parameter(&all[i]))
		{
			check_may_change_parameter(role);
			ereport(NOTICE,
					(errmsg("role \"%s\" may no longer act for any user in any database of the cluster", role),
					 errhint("Where it shall, call key_vault.grant_access() in that database again.")));
		}
		kv_access_revoke(role, &all[i]);
	}
	for (uint64 i = 0; i < count; i++)
	{
		if (level_contains(level, all[i].level))
			kv_access_grant(role, &all[i]);
	}

	/* a GRANT by somebody without the right to grant is only a WARNING */
	CommandCounterIncrement();
	for (uint64 i = 0; i < count; i++)
	{
		bool		wanted = level_has_right(level, &all[i], all, count);

		if (kv_access_is_granted(role, &all[i]) != wanted)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("could not change the level of role \"%s\"", role),
					 errdetail("%s on %s \"%s\" could not be %s.", all[i].privilege,
							   all[i].kind, all[i].object, wanted ? "granted" : "revoked"),
					 errhint("Call it as the owner of the extension or as a superuser.")));
	}
}

void
kv_access_set_level(const char *role, const char *level)
{
	if (strcmp(level, "user") != 0 && strcmp(level, "service") != 0 &&
		strcmp(level, "admin") != 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("there is no such level"),
				 errhint("The levels are user, service and admin.")));
	(void) get_role_oid(role, false);
	change_level(role, level);
}

void
kv_access_take_level(const char *role)
{
	Oid			role_oid = get_role_oid(role, false);
	Oid			schema;

	change_level(role, NULL);

	schema = kv_schema();
	if (!superuser_arg(role_oid) && kv_may_use_schema(schema, role_oid))
		ereport(WARNING,
				(errmsg("role \"%s\" still reaches key_vault through another role", role),
				 errhint("Revoke the membership, or the other role's level; see the view key_vault.access.")));
}

void
kv_access_extend_level(const char *level, const char *kind, const char *object,
					   const char *privilege)
{
	KvPrivilege right = {pstrdup(level), pstrdup(kind), pstrdup(object), pstrdup(privilege)};
	List	   *roles = kv_access_roles(level);
	ListCell   *cell;

	/* what a user may, a service may */
	if (strcmp(level, "user") == 0)
		roles = list_concat(roles, kv_access_roles("service"));
	if (!kv_access_row_insert(&right))
		return;
	foreach(cell, roles)
		kv_access_grant(lfirst(cell), &right);
}

bool
kv_access_sees_all_users(void)
{
	Oid			inventory = get_relname_relid("inventory",
											  kv_schema());

	return OidIsValid(inventory) &&
		pg_class_aclcheck(inventory, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}
