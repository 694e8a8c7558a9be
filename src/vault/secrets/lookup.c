/*
 * lookup.c
 *		A key with all that a call needs besides it.
 *
 * What is told comes from the row that was opened, to which it is bound, and from no
 * other: a key never goes to an address that belongs with another one.
 */
#include "postgres.h"

#include "server/compat.h"
#include "store/outcome_rows.h"
#include "vault/secrets/dotenv_attributes.h"
#include "vault/secrets/lookup.h"
#include "vault/secrets/secrets.h"
#include "vault/secrets/serving.h"

static bool
look_up_row(const KvSecretName *name, KvLookup *found)
{
	KvServing	serving;

	if (name->user_id == NULL || !kv_serving_find(name, &serving) ||
		kv_secret_row_is_expired(&serving.row))
		return false;
	found->api_key = kv_serving_hand_out(&serving);
	found->source = KV_SERVING_SOURCE(&serving);
	found->has_version = true;
	found->version = serving.row.version;
	found->has_expiry = serving.row.has_expiry;
	found->expires_at = serving.row.expires_at;
	found->attributes = serving.row.attributes;
	found->outcome = kv_outcome_row_last(&serving.name, &serving.row, &found->outcome_at);
	return true;
}

/* In the .env file: only the default label, with neither versions nor expiry. */
static bool
look_up_variable(const KvSecretTarget *target, KvLookup *found)
{
	KvDotenvObstacle why;

	found->api_key = kv_secret_try_variable(target->variable, &why);
	if (found->api_key == NULL && why.code != 0)
		kv_dotenv_report_obstacle(ERROR, &why);
	if (found->api_key == NULL)
		return false;
	found->source = "dotenv";
	found->attributes = kv_dotenv_attributes(target);
	return true;
}

bool
kv_secret_lookup(const KvSecretArgs *args, KvLookup *found)
{
	KvSecretTarget target;
	KvSecretName name;

	memset(found, 0, sizeof(*found));
	if (kv_secret_as_spelled(args, &name) && look_up_row(&name, found))
		return true;

	target = kv_secret_target(args);
	return (target.variable != NULL && look_up_variable(&target, found)) ||
		look_up_row(&target.name, found);
}
