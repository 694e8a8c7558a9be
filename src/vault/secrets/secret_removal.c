/*
 * secret_removal.c
 *		Removing secrets, and all else that is stored about a user.  In development
 *		the .env file follows.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "store/usage_rows.h"
#include "store/use_rows.h"
#include "vault/audit/upkeep.h"
#include "vault/identity/identity.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/secrets/dotenv_attributes.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/secrets.h"
#include "vault/secrets/write_nesting.h"
#include "vault/tokens/revocations.h"

/* Removes a variable from the .env file; false when it was empty or not there. */
static bool
remove_variable(const char *variable)
{
	int			len;
	KvDotenvObstacle why;
	char	   *value = kv_dotenv_file_try_value(variable, &len, &why);

	if (value == NULL && why.code == 0)
		return false;
	if (value != NULL)
	{
		explicit_bzero(value, len);
		pfree(value);
	}
	PreventCommandIfReadOnly("key_vault.delete()");
	kv_dotenv_file_change(variable, NULL, 0);
	return value == NULL || len > 0;
}

static uint64
remove_rows(const KvSecretName *name)
{
	volatile uint64 removed;

	KV_WRITE_BEGIN(KV_WRITE_DELETE, name);
	{
		removed = kv_secret_rows_delete(name);
		kv_uses_delete(name);
	}
	KV_WRITE_END();
	return removed;
}

static uint64
remove_rows_of_user(text *user_id)
{
	KvSecretName everything = {.user_id = user_id};
	volatile uint64 removed;

	KV_WRITE_BEGIN(KV_WRITE_FORGET, &everything);
	{
		removed = kv_secret_rows_delete_user(user_id);
		(void) kv_usage_rows_delete_user(user_id);
		kv_uses_delete_user(user_id);
		kv_audit_forget(user_id);
	}
	KV_WRITE_END();
	return removed;
}

static bool
remove_for_user(const KvSecretName *name)
{
	volatile uint64 removed;

	KV_ACT_FOR(name->user_id);
	{
		removed = remove_rows(name);
	}
	KV_ACT_END();
	return removed > 0;
}

bool
kv_secret_delete(const KvSecretArgs *args)
{
	KvSecretTarget target = kv_secret_target(args);
	bool		removed = false;

	if (target.name.user_id != NULL)
		removed = remove_for_user(&target.name);
	if (target.variable != NULL && remove_variable(target.variable))
		removed = true;
	if (target.variable != NULL)
		kv_dotenv_attributes_change(&target, NULL);
	return removed;
}

/* Who asks for erasure has a right to know what is out of our reach. */
static void
tell_of_backups(void)
{
	ereport(NOTICE,
			(errmsg("backups and WAL from before now still hold what was stored about the user"),
			 errdetail("The secrets in them are sealed, and open with the root keys of that time."),
			 errhint("Let them expire; or rotate, retire the old root keys, and destroy every copy of those.")));
}

uint64
kv_secret_forget(text *user_id)
{
	text	   *user = kv_identity_require(user_id);
	volatile uint64 removed;

	KV_ACT_FOR(user);
	{
		removed = remove_rows_of_user(user);
		kv_tokens_revoke_forgotten(user);
	}
	KV_ACT_END();
	tell_of_backups();
	return removed;
}
