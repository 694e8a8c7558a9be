/*
 * providers.c
 *		Resolves what a call names to a registered provider.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "format/key_doubts.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/secret_rows.h"
#include "vault/providers/provider_names.h"
#include "vault/providers/providers.h"

/*
 * An unknown name that is longer, and not near to a known one, is not quoted
 * whole: it may be a key.
 */
#define QUOTED_NAME_MAX 12

pg_noreturn static void
unknown_provider(const char *name, int len)
{
	const char *nearest = kv_provider_nearest(name, len);

	/* Arguments in the wrong order put a key here: a long name is cut. */
	ereport(ERROR,
			(errcode(KV_ERRCODE_UNKNOWN),
			 nearest != NULL || len <= QUOTED_NAME_MAX ?
			 errmsg("provider \"%s\" is not registered", pnstrdup(name, len)) :
			 errmsg("provider \"%s...\" is not registered",
					pnstrdup(name, pg_mbcliplen(name, len, 4))),
			 nearest ? errhint("Perhaps you meant \"%s\". The view key_vault.providers lists all.", nearest) :
			 errhint("The view key_vault.providers lists all; an admin registers another with key_vault.add_provider().")));
}

char *
kv_provider_normalize(char *name, int *len)
{
	while (*len > 0 && isspace((unsigned char) name[*len - 1]) && !IS_HIGHBIT_SET(name[*len - 1]))
		(*len)--;
	while (*len > 0 && isspace((unsigned char) *name) && !IS_HIGHBIT_SET(*name))
	{
		name++;
		(*len)--;
	}
	for (int i = 0; i < *len; i++)
	{
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] += 'a' - 'A';
	}
	return name;
}

/* The provider that the name means; *normalized is palloc'd when it is NULL. */
static const KvProvider *
look_up(const text *name, char **normalized, int *len)
{
	const KvProvider *provider;

	/* as most callers spell it */
	provider = kv_provider_spelled(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (provider != NULL)
		return provider;

	*len = VARSIZE_ANY_EXHDR(name);
	*normalized = kv_provider_normalize(pnstrdup(VARDATA_ANY(name), *len), len);
	return kv_provider_spelled(*normalized, *len);
}

const KvProvider *
kv_provider_find(const text *name)
{
	char	   *normalized;
	int			len;

	return look_up(name, &normalized, &len);
}

const KvProvider *
kv_provider_resolve(const text *name)
{
	const KvProvider *provider;
	char	   *normalized;
	int			len;

	if (name == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("provider is NULL"),
				 errhint("The view key_vault.providers lists all.")));
	provider = look_up(name, &normalized, &len);
	if (provider != NULL)
		return provider;
	if (len == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("provider is empty"),
				 errhint("The view key_vault.providers lists all.")));
	if (len > KV_PROVIDER_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_UNKNOWN),
				 errmsg("provider name is longer than %d bytes", KV_PROVIDER_MAX),
				 errhint("The view key_vault.providers lists all.")));
	unknown_provider(normalized, len);
}

bool
kv_provider_key_matches(const KvProvider *provider, const char *api_key, int len)
{
	size_t		start;
	size_t		trimmed = kv_trimmed(api_key, len, &start);

	return provider->key_prefix_count == 0 ||
		kv_has_key_prefix(api_key + start, trimmed, provider->key_prefixes, provider->key_prefix_count);
}
