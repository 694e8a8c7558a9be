/*
 * identity.c
 *		The identity: the user for whom a call is acting, or of the transaction's token, or
 *		the setting key_vault.user_id.  Nothing here reads a table.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/invalidation.h"
#include "server/settings.h"
#include "vault/identity/identity.h"
#include "vault/identity/team.h"
#include "vault/identity/transaction_token.h"

/* The user of the running call; NULL outside of one. */
static const char *acting_user = NULL;
static int	acting_len = 0;

/* Whether trusted_role may act for any user; dropped when roles change. */
static Oid	known_role = InvalidOid;
static bool known_answer = false;

static void
forget_roles(void)
{
	known_role = InvalidOid;
}

void
kv_identity_init(void)
{
	kv_watch_catalog(AUTHOID, forget_roles);
	kv_watch_catalog(AUTHMEMROLEMEM, forget_roles);
	/* pg_database_owner has a member that no membership tells of */
	kv_watch_catalog(DATABASEOID, forget_roles);
	kv_watch_catalog(PARAMETERACLOID, forget_roles);
	kv_watch_catalog(PARAMETERACLNAME, forget_roles);
}

/*
 * Who may set the identity may as well name it in a call: the level service,
 * and superusers.
 */
static bool
may_act_for_any_user(void)
{
	Oid			role = GetUserId();

	if (role != known_role)
	{
		known_answer = pg_parameter_aclcheck("key_vault.user_id", role,
											 ACL_SET) == ACLCHECK_OK;
		known_role = role;
	}
	return known_answer;
}

const char *
kv_identity(int *len)
{
	const KvTokenSubject *token;

	if (acting_user != NULL)
	{
		*len = acting_len;
		return acting_user;
	}
	token = kv_transaction_token();
	if (token != NULL)
	{
		*len = strlen(token->user_id);
		return token->user_id;
	}
	*len = strlen(kv_setting_user_id);
	return *len > 0 ? kv_setting_user_id : NULL;
}

void
kv_user_id_check_length(const text *user_id)
{
	int			len = VARSIZE_ANY_EXHDR(user_id);

	if (len == 0 || len > KV_USER_ID_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("user id must have 1 to %d bytes", KV_USER_ID_MAX),
				 errdetail("It has %d bytes.", len),
				 errhint("Pass the application's own id of the user.")));
	if (len == KV_TEAM_PREFIX_LEN && memcmp(VARDATA_ANY(user_id), KV_TEAM_PREFIX, len) == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("user id \"%s\" names no team", KV_TEAM_PREFIX),
				 errhint("Pass the team's id after it.")));
}

/* For a transaction that has an identity, which is not the user that a call names. */
pg_noreturn static void
refuse_other_user(const text *user_id)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_OTHER_USER),
			 errmsg("the transaction acts for another user"),
			 kv_transaction_token_bound() != NULL ?
			 errdetail("The call names a user_id that is not the user of the transaction's token.") :
			 errdetail("The call names a user_id that is not the identity in \"key_vault.user_id\"."),
			 kv_team_is(user_id) ?
			 errhint("A member's call names the member, whom the team's key serves where there is none. To see and change the team's keys, call without an identity at level \"service\", for the team as the identity, or with the token of one who may.") :
			 errhint("Pass NULL for the user id to use the identity, or set the identity to the user that the request is for.")));
}

/* For one that has no identity but a team, which is not the one that a call names. */
pg_noreturn static void
refuse_other_team(void)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_OTHER_USER),
			 errmsg("the transaction is for another team"),
			 errdetail("The call names a team that is not the one in \"key_vault.team_id\"."),
			 errhint("Set the team to the one that the request is for.")));
}

text *
kv_identity_check(text *user_id)
{
	int			identity_len;
	const char *identity = kv_identity(&identity_len);

	if (user_id == NULL)
		return identity ? cstring_to_text_with_len(identity, identity_len) : NULL;
	kv_user_id_check_length(user_id);

	if (identity != NULL)
	{
		if (identity_len == (int) VARSIZE_ANY_EXHDR(user_id) &&
			memcmp(identity, VARDATA_ANY(user_id), identity_len) == 0)
			return user_id;
		if (kv_team_is_own(user_id) && kv_team_may_change())
			return user_id;
		refuse_other_user(user_id);
	}

	if (!may_act_for_any_user())
		ereport(ERROR,
				(errcode(KV_ERRCODE_OTHER_USER),
				 errmsg("role \"%s\" has no identity and may not act for any user",
						GetUserNameFromId(GetUserId(), true)),
				 errhint("A superuser gives a role its identity by ALTER ROLE ... SET key_vault.user_id, or the level \"service\" by key_vault.grant_access().")));
	if (kv_team_is(user_id) && kv_identity_team(&identity_len) != NULL && !kv_team_is_own(user_id))
		refuse_other_team();
	return user_id;
}

text *
kv_identity_require(text *user_id)
{
	text	   *checked = kv_identity_check(user_id);

	if (checked == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("user id is NULL and the transaction has no identity"),
				 errhint("Pass the user's id, or set the identity with SET LOCAL key_vault.user_id.")));
	return checked;
}

KvActing
kv_act_for(const text *user_id)
{
	KvActing	displaced = {acting_user, acting_len};

	acting_user = VARDATA_ANY(user_id);
	acting_len = VARSIZE_ANY_EXHDR(user_id);
	return displaced;
}

void
kv_act_end(KvActing displaced)
{
	acting_user = displaced.user_id;
	acting_len = displaced.len;
}
