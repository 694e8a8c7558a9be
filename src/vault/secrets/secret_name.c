/*
 * secret_name.c
 *		Checks what a call names, before anything is read or written.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/identity/identity.h"
#include "vault/laptop/mode.h"
#include "vault/secrets/secret_name.h"

#define LABEL_HINT "Leave the label out for a user's only key; others tell keys of one provider apart, such as \"work\"."

static void
check_label(const text *label)
{
	int			len;

	if (label == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("label is NULL"),
				 errhint(LABEL_HINT)));
	len = VARSIZE_ANY_EXHDR(label);
	if (len == 0 || len > KV_LABEL_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("label must have 1 to %d bytes", KV_LABEL_MAX),
				 errdetail("It has %d bytes.", len),
				 errhint(LABEL_HINT)));
	for (int i = 0; i < len; i++)
	{
		unsigned char byte = VARDATA_ANY(label)[i];

		if (byte < 0x20 || byte == 0x7f)
			ereport(ERROR,
					(errcode(KV_ERRCODE_BAD_ARGUMENT),
					 errmsg("label has a control character"),
					 errdetail("It is at byte %d.", i + 1),
					 errhint(LABEL_HINT)));
	}
}

bool
kv_label_is_default(const text *label)
{
	return VARSIZE_ANY_EXHDR(label) == strlen("default") &&
		memcmp(VARDATA_ANY(label), "default", strlen("default")) == 0;
}

text *
kv_secret_user(text *user_id)
{
	text	   *user = kv_identity_check(user_id);

	if (user == NULL && !kv_mode_is_development())
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("user id is NULL and the transaction has no identity"),
				 errhint("Pass the user's id, or set the identity with SET LOCAL key_vault.user_id.")));
	return user;
}

/* The variables of the .env file: copies, as the provider's name is. */
static void
take_variables(KvSecretTarget *target)
{
	const KvProvider *provider = target->provider;

	target->variable = pstrdup(provider->env_var);
	target->attribute_var_count = provider->attribute_var_count;
	target->attribute_vars = palloc(sizeof(KvAttributeVariable) * Max(provider->attribute_var_count, 1));
	for (int i = 0; i < provider->attribute_var_count; i++)
	{
		target->attribute_vars[i].attribute = pstrdup(provider->attribute_vars[i].attribute);
		target->attribute_vars[i].variable = pstrdup(provider->attribute_vars[i].variable);
	}
}

KvSecretTarget
kv_secret_target(const KvSecretArgs *args)
{
	KvSecretTarget target = {0};

	target.name.user_id = kv_secret_user(args->user_id);
	target.provider = kv_provider_resolve(args->provider);
	target.name.provider = DatumGetTextPCopy(PointerGetDatum(target.provider->name));
	check_label(args->label);
	target.name.label = args->label;
	target.development = kv_mode_is_development();
	if (target.development && kv_label_is_default(args->label))
		take_variables(&target);
	return target;
}

bool
kv_secret_as_spelled(const KvSecretArgs *args, KvSecretName *name)
{
	if (args->provider == NULL || args->label == NULL || kv_mode_is_development() ||
		!kv_providers_are_as_shipped())
		return false;
	name->user_id = kv_secret_user(args->user_id);
	name->provider = args->provider;
	name->label = args->label;
	return true;
}

bool
kv_secret_row_is_expired(const KvSecretRow *row)
{
	return row->has_expiry && row->expires_at <= GetCurrentTimestamp();
}
