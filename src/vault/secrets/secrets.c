/*
 * secrets.c
 *		Looking up secrets: get and its kin.  In development the .env file comes
 *		before the user's rows.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/secret_reads.h"
#include "vault/identity/identity.h"
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

/* The current key in the database, or NULL. */
static text *
read_row(const KvSecretName *name)
{
	text	   *volatile api_key = NULL;

	if (name->user_id == NULL)
		return NULL;
	KV_ACT_FOR(name->user_id);
	{
		KvSecretRow row;

		if (kv_secret_row_current(name, &row) && !kv_secret_row_is_expired(&row))
			api_key = kv_open(name, &row);
	}
	KV_ACT_END();
	return api_key;
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

/* The sentences of "no API key found", by what is known. */
static char *
why_not_found(const KvSecretTarget *target, const KvSecretRow *expired)
{
	StringInfoData why;

	initStringInfo(&why);
	if (target->variable != NULL)
		appendStringInfo(&why, "Variable %s is not set in file \"%s\". ",
						 target->variable, kv_setting_dotenv_file);
	if (target->name.user_id == NULL)
		appendStringInfoString(&why, "The call names no user.");
	else if (expired != NULL)
		appendStringInfo(&why, "The key of user \"%s\" has expired since %s.",
						 kv_quotable_user(target->name.user_id),
						 timestamptz_to_str(expired->expires_at));
	else
		appendStringInfo(&why, "User \"%s\" has not set a key.",
						 kv_quotable_user(target->name.user_id));
	return why.data;
}

pg_noreturn static void
not_found(const KvSecretTarget *target, const char *display_name,
		  const KvSecretRow *expired)
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
	text	   *volatile api_key = NULL;

	if (target->name.user_id == NULL)
		not_found(target, display_name, NULL);
	KV_ACT_FOR(target->name.user_id);
	{
		KvSecretRow row;

		if (!kv_secret_row_current(&target->name, &row))
			not_found(target, display_name, NULL);
		if (kv_secret_row_is_expired(&row))
			not_found(target, display_name, &row);
		api_key = kv_open(&target->name, &row);
	}
	KV_ACT_END();
	return api_key;
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

uint64
kv_secret_current_rows(text *user_id, KvSecretRow **rows)
{
	text	   *label = cstring_to_text("default");
	volatile uint64 count;

	KV_ACT_FOR(user_id);
	{
		count = kv_secret_rows_of_user(user_id, label, rows);
	}
	KV_ACT_END();
	return count;
}

/* The key in a current row with the default label; a WARNING and NULL for none. */
static text *
open_or_warn(text *user_id, const KvSecretRow *row)
{
	KvSecretName name = {user_id, row->provider, cstring_to_text("default")};
	KvObstacle	why;
	text	   *api_key = kv_try_open(&name, row, &why);

	if (api_key == NULL)
		kv_report_obstacle(WARNING, &name, row, &why);
	return api_key;
}

bool
kv_secret_opens(text *user_id, const KvSecretRow *row)
{
	text	   *api_key = open_or_warn(user_id, row);

	if (api_key == NULL)
		return false;
	explicit_bzero(VARDATA(api_key), VARSIZE(api_key) - VARHDRSZ);
	pfree(api_key);
	return true;
}

/* One member of what get_all() returns. */
typedef struct Member
{
	const text *provider;
	text	   *api_key;		/* NULL for one that does not open */
} Member;

static List *
add_member(List *members, const text *provider, text *api_key)
{
	Member	   *member = palloc(sizeof(Member));

	member->provider = provider;
	member->api_key = api_key;
	return lappend(members, member);
}

static bool
has_member(List *members, const text *provider)
{
	ListCell   *cell;

	foreach(cell, members)
	{
		const Member *member = lfirst(cell);

		if (VARSIZE_ANY_EXHDR(member->provider) == VARSIZE_ANY_EXHDR(provider) &&
			memcmp(VARDATA_ANY(member->provider), VARDATA_ANY(provider),
				   VARSIZE_ANY_EXHDR(provider)) == 0)
			return true;
	}
	return false;
}

/* The keys of the .env file. */
static List *
variables_as_members(void)
{
	const KvProvider *provider;
	List	   *members = NIL;

	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
	{
		KvDotenvObstacle why;
		text	   *api_key = kv_secret_try_variable(provider->env_var, &why);

		if (why.code != 0)
			kv_dotenv_report_obstacle(WARNING, &why);
		/* a copy, because the providers may be read anew */
		if (api_key != NULL || why.code != 0)
			members = add_member(members, DatumGetTextPCopy(PointerGetDatum(provider->name)),
								 api_key);
	}
	return members;
}

/* The keys of the user's rows, but for those that are there already. */
static List *
add_rows(List *members, text *user_id)
{
	KvSecretRow *rows;
	uint64		count = kv_secret_current_rows(user_id, &rows);

	for (uint64 i = 0; i < count; i++)
	{
		if (!kv_secret_row_is_expired(&rows[i]) && !has_member(members, rows[i].provider))
			members = add_member(members, rows[i].provider, open_or_warn(user_id, &rows[i]));
	}
	return members;
}

/* {"provider": "key", ...}; the keys are wiped. */
static Jsonb *
members_to_jsonb(List *members)
{
	KvJsonbState state = {0};
	ListCell   *cell;
	Jsonb	   *result;

	kv_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	foreach(cell, members)
	{
		const Member *member = lfirst(cell);
		JsonbValue	value = {.type = jbvString};

		value.val.string.val = VARDATA_ANY(member->provider);
		value.val.string.len = VARSIZE_ANY_EXHDR(member->provider);
		kv_push_jsonb(&state, WJB_KEY, &value);
		if (member->api_key != NULL)
		{
			value.val.string.val = VARDATA_ANY(member->api_key);
			value.val.string.len = VARSIZE_ANY_EXHDR(member->api_key);
		}
		else
			value.type = jbvNull;
		kv_push_jsonb(&state, WJB_VALUE, &value);
	}
	kv_push_jsonb(&state, WJB_END_OBJECT, NULL);
	result = JsonbValueToJsonb(state.result);

	foreach(cell, members)
	{
		text	   *api_key = ((const Member *) lfirst(cell))->api_key;

		if (api_key != NULL)
			explicit_bzero(VARDATA(api_key), VARSIZE(api_key) - VARHDRSZ);
	}
	return result;
}

Jsonb *
kv_secret_get_all(text *user_id)
{
	text	   *user = kv_secret_user(user_id);
	List	   *members = NIL;

	if (kv_mode_is_development())
		members = variables_as_members();
	if (user != NULL)
		members = add_rows(members, user);
	return members_to_jsonb(members);
}

const char *
kv_secret_source(const KvSecretArgs *args)
{
	KvSecretTarget target = kv_secret_target(args);
	const char *volatile source = NULL;

	if (target.variable != NULL && variable_is_set(target.variable))
		return "dotenv";
	if (target.name.user_id == NULL)
		return NULL;

	KV_ACT_FOR(target.name.user_id);
	{
		KvSecretRow row;

		if (kv_secret_row_current(&target.name, &row) && !kv_secret_row_is_expired(&row))
			source = "user";
	}
	KV_ACT_END();
	return source;
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
