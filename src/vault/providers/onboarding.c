/*
 * onboarding.c
 *		Compares the providers with the keys that there are: in the .env file, and in
 *		the rows that serve the user.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/settings.h"
#include "store/use_rows.h"
#include "vault/identity/team.h"
#include "vault/laptop/mode.h"
#include "vault/providers/onboarding.h"
#include "vault/providers/providers.h"
#include "vault/secrets/hint.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/secrets.h"

/* What is known of one provider's key. */
typedef struct State
{
	const char *source;			/* or NULL */
	text	   *hint;			/* or NULL */
	const KvServing *serving;	/* the row, or NULL */
	KvUse		use;			/* of that row */
	bool		is_unopened;	/* there is a key, which nobody can read */
	KvDotenvObstacle variable;	/* what is in the way of the .env file's */
} State;

static State
state_of(const KvProvider *provider, const KvServing *serving, uint64 count, bool development)
{
	State		state = {0};
	text	   *variable = development ?
		kv_secret_try_variable(provider->env_var, &state.variable) : NULL;

	if (state.variable.code != 0)
		return state;
	if (variable != NULL)
	{
		state.source = "dotenv";
		state.hint = kv_hint(variable);
		explicit_bzero(VARDATA(variable), VARSIZE(variable) - VARHDRSZ);
		return state;
	}

	state.serving = kv_serving_for(serving, count, provider->name);
	if (state.serving != NULL)
	{
		state.hint = state.serving->row.hint;
		if (!kv_secret_row_is_expired(&state.serving->row))
		{
			state.is_unopened = !kv_secret_opens(state.serving);
			state.source = state.is_unopened ? NULL : KV_SERVING_SOURCE(state.serving);
		}
	}
	return state;
}

/* How the row's key is used: the user's own, or the team's. */
static void
add_use(State *state, text *user, const KvUses *own, const KvUses *of_team)
{
	const KvServing *serving = state->serving;

	if (serving != NULL)
		state->use = kv_uses_of(serving->name.user_id == user ? own : of_team,
								serving->name.provider, serving->name.label,
								serving->row.version, serving->row.created_at);
}

/* The sentence for the user, or NULL when nothing is missing. */
static char *
what_is_missing(const KvProvider *provider, const State *state, bool development)
{
	StringInfoData missing;

	if (state->source != NULL)
		return NULL;

	initStringInfo(&missing);
	if (state->variable.code != 0)
	{
		appendStringInfo(&missing, "%s API key cannot be read: %s. %s %s", provider->display_name,
						 state->variable.message, state->variable.detail, state->variable.hint);
		return missing.data;
	}
	if (state->serving != NULL && kv_serving_is_of_team(state->serving))
		appendStringInfoString(&missing, "The team's ");
	if (state->is_unopened)
		appendStringInfo(&missing, "%s API key has to be entered again: the stored one can no longer be read.",
						 provider->display_name);
	else if (state->serving != NULL)
		appendStringInfo(&missing, "%s API key has expired.", provider->display_name);
	else
		appendStringInfo(&missing, "%s API key not configured.", provider->display_name);
	if (development)
		appendStringInfo(&missing, " Add %s to \"%s\", or enter the key.",
						 provider->env_var, kv_setting_dotenv_file);
	else if (provider->key_url != NULL)
		appendStringInfo(&missing, " Get one at %s and enter it.", provider->key_url);
	return missing.data;
}

static void
put_row(const KvProvider *provider, const State *state, bool development,
		Tuplestorestate *result, TupleDesc columns)
{
	char	   *missing = what_is_missing(provider, state, development);
	Datum		values[10] = {0};
	bool		nulls[10] = {0};

	values[0] = PointerGetDatum(provider->name);
	values[1] = BoolGetDatum(provider->required);
	values[2] = BoolGetDatum(state->source != NULL);
	nulls[3] = state->source == NULL;
	if (state->source != NULL)
		values[3] = CStringGetTextDatum(state->source);
	nulls[4] = state->hint == NULL;
	if (state->hint != NULL)
		values[4] = PointerGetDatum(state->hint);
	nulls[5] = state->serving == NULL || !state->serving->row.has_expiry;
	if (!nulls[5])
		values[5] = TimestampTzGetDatum(state->serving->row.expires_at);
	nulls[6] = missing == NULL;
	if (missing != NULL)
		values[6] = CStringGetTextDatum(missing);
	values[7] = TimestampTzGetDatum(state->use.last_used_at);
	nulls[7] = !state->use.is_used;
	values[8] = PointerGetDatum(state->use.outcome);
	values[9] = TimestampTzGetDatum(state->use.outcome_at);
	nulls[8] = nulls[9] = state->use.outcome == NULL;
	tuplestore_putvalues(result, columns, values, nulls);
}

void
kv_onboarding_report(text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	text	   *user = kv_secret_user(user_id);
	bool		development = kv_mode_is_development();
	KvServing  *serving = NULL;
	uint64		count = 0;
	text	   *team = user != NULL ? kv_team_for(user) : NULL;
	const KvUses *own = NULL;
	const KvUses *of_team = NULL;
	const KvProvider *provider;

	if (user != NULL)
	{
		count = kv_serving_of_user(user, &serving);
		own = kv_uses_read(user);
		of_team = team != NULL ? kv_uses_read(team) : NULL;
	}
	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
	{
		State		state = state_of(provider, serving, count, development);

		add_use(&state, user, own, of_team);
		if (provider->required || state.source != NULL || state.serving != NULL ||
			state.variable.code != 0)
			put_row(provider, &state, development, result, columns);
	}
}
