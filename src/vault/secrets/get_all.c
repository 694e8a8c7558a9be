/*
 * get_all.c
 *		All keys that serve a user, as one object.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "server/compat.h"
#include "vault/audit/calls.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/laptop/mode.h"
#include "vault/providers/providers.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/secrets.h"

/* One member of what get_all() returns. */
typedef struct Member
{
	const text *provider;
	const KvServing *serving;	/* NULL: it is the .env file's */
	text	   *api_key;		/* NULL for one that does not open */
} Member;

static List *
add_member(List *members, const text *provider, const KvServing *serving, text *api_key)
{
	Member	   *member = palloc(sizeof(Member));

	member->provider = provider;
	member->serving = serving;
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
								 NULL, api_key);
	}
	return members;
}

/* The keys of the rows that serve the user, but for those that are there already. */
static List *
add_rows(List *members, text *user_id)
{
	KvServing  *serving;
	uint64		count = kv_serving_of_user(user_id, &serving);

	for (uint64 i = 0; i < count; i++)
	{
		const text *provider = serving[i].name.provider;

		if (kv_secret_row_is_expired(&serving[i].row) || has_member(members, provider))
			continue;
		kv_audit_note_row(NULL, 0);
		members = add_member(members, provider, &serving[i], kv_secret_open_or_warn(&serving[i]));
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

/* In the audit, and of use. */
static void
leave_records(List *members, text *user_id)
{
	text	   *label = cstring_to_text("default");
	ListCell   *cell;

	foreach(cell, members)
	{
		const Member *member = lfirst(cell);

		kv_audit_leave_part(user_id, member->provider, label,
							member->serving != NULL ? member->serving->name.user_id : NULL,
							member->serving != NULL ? member->serving->row.version : 0,
							member->api_key != NULL);
		if (member->serving != NULL && member->api_key != NULL)
			kv_serving_count_use(member->serving);
	}
}

Jsonb *
kv_secret_get_all(text *user_id)
{
	text	   *user = kv_secret_user(user_id);
	List	   *members = NIL;
	Jsonb	   *result;

	if (kv_mode_is_development())
		members = variables_as_members();
	if (user != NULL)
		members = add_rows(members, user);
	result = members_to_jsonb(members);
	kv_audit_guard(result);
	leave_records(members, user);
	return result;
}
