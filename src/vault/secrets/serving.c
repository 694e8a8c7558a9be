/*
 * serving.c
 *		Looks for a user's own key first, and then for the team's.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "server/settings.h"
#include "server/use_table.h"
#include "store/secret_reads.h"
#include "vault/audit/calls.h"
#include "vault/identity/identity.h"
#include "vault/identity/team.h"
#include "vault/roots/sealing.h"
#include "vault/secrets/serving.h"

static bool
find_current(KvServing *serving)
{
	volatile bool found;

	KV_ACT_FOR(serving->name.user_id);
	{
		found = kv_secret_row_current(&serving->name, &serving->row);
	}
	KV_ACT_END();
	return found;
}

bool
kv_serving_find(const KvSecretName *name, KvServing *serving)
{
	text	   *team;

	serving->name = *name;
	if (find_current(serving))
		return true;
	team = kv_team_for(name->user_id);
	if (team == NULL)
		return false;
	serving->name.user_id = team;
	return find_current(serving);
}

const KvServing *
kv_serving_for(const KvServing *serving, uint64 count, const text *provider)
{
	for (uint64 i = 0; i < count; i++)
	{
		const text *name = serving[i].name.provider;

		if (VARSIZE_ANY_EXHDR(name) == VARSIZE_ANY_EXHDR(provider) &&
			memcmp(VARDATA_ANY(name), VARDATA_ANY(provider), VARSIZE_ANY_EXHDR(name)) == 0)
			return &serving[i];
	}
	return NULL;
}

static uint64
rows_of(text *owner, text *label, KvSecretRow **rows)
{
	volatile uint64 count;

	KV_ACT_FOR(owner);
	{
		count = kv_secret_rows_of_user(owner, label, rows);
	}
	KV_ACT_END();
	return count;
}

static KvServing
serving_of(text *owner, text *label, const KvSecretRow *row)
{
	KvServing	serving = {{owner, row->provider, label}, *row};

	return serving;
}

static KvUsedKey
used_key(const KvServing *serving)
{
	const KvSecretName *name = &serving->name;

	return (KvUsedKey){name->user_id, name->provider, name->label,
		serving->row.version, serving->row.created_at};
}

void
kv_serving_count_use(const KvServing *serving)
{
	const KvUsedKey key = used_key(serving);

	if (kv_setting_track_last_use)
		kv_use_count(&key);
}

text *
kv_serving_hand_out(const KvServing *serving)
{
	const KvUsedKey key = used_key(serving);
	text	   *api_key;

	kv_audit_note_row(serving->name.user_id, serving->row.version);
	if (kv_setting_track_last_use)
		kv_use_expect(&key);
	api_key = kv_open(&serving->name, &serving->row);
	if (kv_setting_track_last_use)
		kv_use_count(&key);
	return api_key;
}

uint64
kv_serving_of_user(text *user_id, KvServing **serving)
{
	text	   *label = cstring_to_text("default");
	text	   *team = kv_team_for(user_id);
	KvSecretRow *own_rows;
	KvSecretRow *team_rows = NULL;
	uint64		own = rows_of(user_id, label, &own_rows);
	uint64		of_team = team != NULL ? rows_of(team, label, &team_rows) : 0;
	uint64		count = 0;

	*serving = MemoryContextAllocHuge(CurrentMemoryContext,
									  (own + of_team) * sizeof(KvServing));
	for (uint64 i = 0; i < own; i++)
		(*serving)[count++] = serving_of(user_id, label, &own_rows[i]);
	for (uint64 i = 0; i < of_team; i++)
	{
		if (kv_serving_for(*serving, own, team_rows[i].provider) == NULL)
			(*serving)[count++] = serving_of(team, label, &team_rows[i]);
	}
	return count;
}

bool
kv_serving_is_of_team(const KvServing *serving)
{
	return kv_team_is(serving->name.user_id);
}
