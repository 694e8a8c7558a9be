/*
 * shard_views.c
 *		Who sees which rows of a view while Citus has them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/errors.h"
#include "store/distribution.h"
#include "store/shard_rows.h"
#include "store/statement.h"
#include "vault/identity/access.h"
#include "vault/identity/identity.h"
#include "vault/secrets/shard_views.h"

static const struct
{
	const char *name;
	KvShardView view;
	bool		of_users;		/* they see their own rows, admins all */
}			views[] =
{
	{"inventory", KV_SHARD_INVENTORY, false},
	{"api_keys", KV_SHARD_API_KEYS, true},
	{"monthly_costs", KV_SHARD_MONTHLY_COSTS, true},
	{"root_keys", KV_SHARD_ROOT_KEYS, false}
};

static void
check_may_read(const char *view)
{
	Oid			relid = get_relname_relid(view, kv_schema());

	if (!OidIsValid(relid) ||
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for view %s", view)));
}

static void
refuse_secrets(void)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("the view key_vault.secrets cannot be read while its rows are distributed"),
			 errdetail("They are in shards on other nodes, where the caller is not known."),
			 errhint("Use key_vault.list() and key_vault.versions(); for all users the view key_vault.inventory.")));
}

/* Rows of the identity; none when there is none. */
static void
report_of_user(KvShardView view, Tuplestorestate *result, TupleDesc columns)
{
	int			len;
	const char *identity = kv_identity(&len);

	if (kv_access_sees_all_users())
		kv_shard_rows_report(view, NULL, result, columns);
	else if (identity != NULL)
		kv_shard_rows_report(view, cstring_to_text_with_len(identity, len), result, columns);
}

void
kv_shard_view_report(const char *view, Tuplestorestate *result, TupleDesc columns)
{
	check_may_read(view);
	if (strcmp(view, "secrets") == 0)
		refuse_secrets();
	kv_distribution_refuse_worker();
	if (!kv_is_distributed())
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("key_vault is not distributed"),
				 errhint("key_vault.undistribute() makes the views what they were.")));
	for (int i = 0; i < (int) lengthof(views); i++)
	{
		if (strcmp(view, views[i].name) != 0)
			continue;
		if (views[i].of_users)
			report_of_user(views[i].view, result, columns);
		else
			kv_shard_rows_report(views[i].view, NULL, result, columns);
		return;
	}
	ereport(ERROR,
			(errcode(KV_ERRCODE_UNKNOWN),
			 errmsg("view %s has no rows in shards", view)));
}
