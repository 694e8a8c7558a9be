/*
 * team.c
 *		The transaction's team: its token's, or the setting key_vault.team_id.  Whether a user
 *		belongs to it is for the token, or the application, to say.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "server/compat.h"
#include "server/settings.h"
#include "vault/identity/team.h"
#include "vault/identity/transaction_token.h"

const char *
kv_identity_team(int *len)
{
	const KvTokenSubject *token = kv_transaction_token();

	if (token != NULL)
	{
		*len = strlen(token->team_id);
		return *len > 0 ? token->team_id : NULL;
	}
	*len = strlen(kv_setting_team_id);
	return *len > 0 ? kv_setting_team_id : NULL;
}

bool
kv_team_is(const text *user_id)
{
	return VARSIZE_ANY_EXHDR(user_id) > KV_TEAM_PREFIX_LEN &&
		memcmp(VARDATA_ANY(user_id), KV_TEAM_PREFIX, KV_TEAM_PREFIX_LEN) == 0;
}

text *
kv_team_id(const text *user_id)
{
	return cstring_to_text_with_len(VARDATA_ANY(user_id) + KV_TEAM_PREFIX_LEN,
									VARSIZE_ANY_EXHDR(user_id) - KV_TEAM_PREFIX_LEN);
}

text *
kv_team_for(const text *user_id)
{
	int			len;
	const char *team = kv_identity_team(&len);
	text	   *owner;

	if (team == NULL || kv_team_is(user_id))
		return NULL;
	owner = palloc(VARHDRSZ + KV_TEAM_PREFIX_LEN + len);
	SET_VARSIZE(owner, VARHDRSZ + KV_TEAM_PREFIX_LEN + len);
	memcpy(VARDATA(owner), KV_TEAM_PREFIX, KV_TEAM_PREFIX_LEN);
	memcpy(VARDATA(owner) + KV_TEAM_PREFIX_LEN, team, len);
	return owner;
}

bool
kv_team_is_own(const text *user_id)
{
	int			len;
	const char *team = kv_identity_team(&len);

	return team != NULL && kv_team_is(user_id) &&
		len == (int) VARSIZE_ANY_EXHDR(user_id) - KV_TEAM_PREFIX_LEN &&
		memcmp(team, VARDATA_ANY(user_id) + KV_TEAM_PREFIX_LEN, len) == 0;
}

bool
kv_team_may_change(void)
{
	const KvTokenSubject *token = kv_transaction_token();

	return token != NULL && token->team_admin;
}
