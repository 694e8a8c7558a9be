/*
 * secrets.c
 *		Looking up secrets: get and its kin.  In development the .env file comes
 *		before the rows of the user and of the team.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/secret_reads.h"
#include "vault/identity/identity.h"
#include "vault/identity/team.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/laptop/mode.h"
#include "vault/providers/providers.h"
#include "vault/roots/sealing.h"
#include "vault/secrets/quotable.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/secrets.h"

text *
kv_secret_try_variable(const char *variable, KvDotenvObstacle *why)
{
	int			len;
	char	   *value = kv_dotenv_file_try_value(variable, &len, why);
	text	   *result = NULL;

	if (value != NULL && len > 0)
		result = cstring_to_text_with_len(value, len);
	if (value != NULL)
	{
		explicit_bzero(value, len);
		pfree(value);
	}
	return result;
}

/* A variable of the .env file as text, or NULL when it is empty or not set. */
static text *
read_variable(const char *variable)
{
	KvDotenvObstacle why;
	text	   *value = kv_secret_try_variable(variable, &why);

	if (value == NULL && why.code != 0)
		kv_dotenv_report_obstacle(ERROR, &why);
	return value;
}

static bool
variable_is_set(const char *variable)
{
	text	   *value = read_variable(variable);

	if (value == NULL)
		return false;
	explicit_bzero(VARDATA(value), VARSIZE(value) - VARHDRSZ);
	pfree(value);
	return true;
}

/* The row that serves, or false. */
static bool
find_row(const KvSecretName *name, KvServing *serving)
{
	return name->user_id != NULL && kv_serving_find(name, serving) &&
		!kv_secret_row_is_expired(&serving->row);
}

/* The current key in the database, or NULL. */
static text *
read_row(const KvSecretName *name)
{
	KvServing	serving;

	return find_row(name, &serving) ? kv_serving_hand_out(&serving) : NULL;
}

text *
kv_secret_get(const KvSecretArgs *args)
{
	KvSecretTarget target;
	KvSecretName name;
	text	   *api_key = NULL;

	if (kv_secret_as_spelled(args, &name))
		api_key = read_row(&name);
	if (api_key != NULL)
		return api_key;

	target = kv_secret_target(args);
	if (target.variable != NULL)
		api_key = read_variable(target.variable);
	return api_key != NULL ? api_key : read_row(&target.name);
}

/* The sentences about a user's own key, and the team's. */
static void
add_why_no_row(StringInfo why, const text *user_id, const KvServing *expired)
{
	text	   *team = kv_team_for(user_id);

	if (expired != NULL && expired->name.user_id == user_id)
	{
		appendStringInfo(why, "The key of user \"%s\" has expired since %s.",
						 kv_quotable_user(user_id),
						 timestamptz_to_str(expired->row.expires_at));
		if (team != NULL)
			appendStringInfoString(why, " A key of the team serves once key_vault.delete() has removed it.");
		return;
	}
	appendStringInfo(why, "User \"%s\" has not set a key", kv_quotable_user(user_id));
	if (expired != NULL)
		appendStringInfo(why, ". The key of \"%s\" has expired since %s.", kv_quotable_user(team),
						 timestamptz_to_str(expired->row.expires_at));
	else if (team != NULL)
		appendStringInfo(why, ", and neither has \"%s\".", kv_quotable_user(team));
	else
		appendStringInfoChar(why, '.');
}

/* The sentences of "no API key found", by what is known. */
static char *
why_not_found(const KvSecretTarget *target, const KvServing *expired)
{
	StringInfoData why;

	initStringInfo(&why);
	if (target->variable != NULL)
		appendStringInfo(&why, "Variable %s is not set in file \"%s\". ",
						 target->variable, kv_setting_dotenv_file);
	if (target->name.user_id == NULL)
		appendStringInfoString(&why, "The call names no user.");
	else
		add_why_no_row(&why, target->name.user_id, expired);
	return why.data;
}

pg_noreturn static void
not_found(const KvSecretTarget *target, const char *display_name,
		  const KvServing *expired)
{
	const char *provider = text_to_cstring(target->name.provider);
	const char *label = kv_quotable_label(target->name.label);

	ereport(ERROR,
			(errcode(KV_ERRCODE_NOT_FOUND),
			 strcmp(label, "default") == 0 ?
			 errmsg("no API key found for provider \"%s\"", provider) :
			 errmsg("no API key found for provider \"%s\", label \"%s\"", provider, label),
			 errdetail("%s", why_not_found(target, expired)),
			 target->variable != NULL ?
			 errhint("Add a line %s=... to the file.", target->variable) :
			 errhint("The user has not finished onboarding: have the user enter an API key for %s, which the application stores with key_vault.set().",
					 display_name)));
}

/* The row's key, or the error that says why there is none. */
static text *
require_row(const KvSecretTarget *target, const char *display_name)
{
	KvServing	serving;

	if (target->name.user_id == NULL || !kv_serving_find(&target->name, &serving))
		not_found(target, display_name, NULL);
	if (kv_secret_row_is_expired(&serving.row))
		not_found(target, display_name, &serving);
	return kv_serving_hand_out(&serving);
}

text *
kv_secret_require(const KvSecretArgs *args)
{
	KvSecretTarget target = kv_secret_target(args);
	char	   *display_name = pstrdup(target.provider->display_name);
	text	   *api_key = NULL;

	if (target.variable != NULL)
		api_key = read_variable(target.variable);
	return api_key != NULL ? api_key : require_row(&target, display_name);
}

text *
kv_secret_open_or_warn(const KvServing *serving)
{
	KvObstacle	why;
	text	   *api_key = kv_try_open(&serving->name, &serving->row, &why);

	if (api_key == NULL)
		kv_report_obstacle(WARNING, &serving->name, &serving->row, &why);
	return api_key;
}

bool
kv_secret_opens(const KvServing *serving)
{
	text	   *api_key = kv_secret_open_or_warn(serving);

	if (api_key == NULL)
		return false;
	explicit_bzero(VARDATA(api_key), VARSIZE(api_key) - VARHDRSZ);
	pfree(api_key);
	return true;
}

const char *
kv_secret_source(const KvSecretArgs *args, text **owner)
{
	KvSecretTarget target = kv_secret_target(args);
	KvServing	serving;

	if (target.variable != NULL && variable_is_set(target.variable))
		return "dotenv";
	if (!find_row(&target.name, &serving))
		return NULL;
	*owner = serving.name.user_id;
	return KV_SERVING_SOURCE(&serving);
}

void
kv_secret_list(text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	text	   *user = kv_identity_require(user_id);

	KV_ACT_FOR(user);
	{
		kv_secret_rows_list(user, result, columns);
	}
	KV_ACT_END();
}

void
kv_secret_versions(const KvSecretArgs *args, Tuplestorestate *result,
				   TupleDesc columns)
{
	KvSecretTarget target = kv_secret_target(args);

	if (target.name.user_id == NULL)
		return;
	KV_ACT_FOR(target.name.user_id);
	{
		kv_secret_rows_versions(&target.name, result, columns);
	}
	KV_ACT_END();
}
