/*
 * identity.c
 *		The SQL functions that policies compare with.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "vault/identity/identity.h"
#include "vault/identity/team.h"

PG_FUNCTION_INFO_V1(kv_sql_current_user_id);
PG_FUNCTION_INFO_V1(kv_sql_current_team_id);

/*
 * key_vault.current_user_id() returns text
 *
 * The identity, or NULL.  A copy: an executor may keep it for longer than the
 * setting lasts.
 */
Datum
kv_sql_current_user_id(PG_FUNCTION_ARGS)
{
	int			len;
	const char *identity = kv_identity(&len);

	if (identity == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(identity, len));
}

/*
 * key_vault.current_team_id() returns text
 *
 * The identity's team, or NULL.  A copy, for the same reason.
 */
Datum
kv_sql_current_team_id(PG_FUNCTION_ARGS)
{
	int			len;
	const char *team = kv_identity_team(&len);

	if (team == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(team, len));
}
