/*
 * provider_changes.c
 *		What makes a provider valid: it must not mean what another one means.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "format/key_doubts.h"
#include "format/key_looks.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/secret_rows.h"
#include "vault/providers/provider_changes.h"
#include "vault/providers/providers.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_.-"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define VARIABLE_MAX 63
#define PREFIXES_MAX 16
#define ATTRIBUTE_MAX 63
#define ATTRIBUTES_MAX 16

/* A name or an alias in its normal form.  what: "provider", "alias". */
static char *
check_name(const char *name, const char *what)
{
	int			len = strlen(name);
	char	   *normalized = kv_provider_normalize(pstrdup(name), &len);

	normalized[len] = '\0';
	if (len == 0 || len > KV_PROVIDER_MAX ||
		strspn(normalized, NAME_CHARACTERS) != (size_t) len ||
		strchr("_.-", normalized[0]) != NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s must be 1 to %d letters, digits, \"_\", \".\" or \"-\", and start with a letter or digit",
						what, KV_PROVIDER_MAX)));
	return normalized;
}

static char *
default_variable(const char *name)
{
	char	   *variable = psprintf("%s_API_KEY", name);

	for (char *c = variable; *c; c++)
		*c = strchr(".-", *c) ? '_' : pg_toupper((unsigned char) *c);
	return variable;
}

static char *
default_display_name(const char *name)
{
	char	   *display_name = pstrdup(name);

	display_name[0] = pg_toupper((unsigned char) display_name[0]);
	return display_name;
}

static bool
ends_in(const char *text, const char *end)
{
	size_t		len = strlen(text);
	size_t		end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* what: "env_var", "variable of an attribute". */
static void
check_variable_name(const char *variable, const char *what)
{
	size_t		len = strlen(variable);

	if (len == 0 || len > VARIABLE_MAX ||
		strspn(variable, LETTERS "0123456789_") != len ||
		isdigit((unsigned char) variable[0]))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s is not a variable name", what),
				 errdetail("It must be 1 to %d letters, digits or \"_\", and not start with a digit.",
						   VARIABLE_MAX)));
}

static bool
is_named_for_secret(const char *variable)
{
	return ends_in(variable, "KEY") || ends_in(variable, "TOKEN") || ends_in(variable, "SECRET");
}

/* A variable that holds a key is named for it: no PATH, no LD_PRELOAD. */
static void
check_variable(const char *variable)
{
	check_variable_name(variable, "env_var");
	if (!is_named_for_secret(variable))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("env_var does not end in KEY, TOKEN or SECRET"),
				 errhint("Such a name keeps other variables of the .env file from being overwritten.")));
}

/* Quotes nothing: somebody may have passed a whole key. */
static void
check_prefix(const char *prefix)
{
	size_t		len = strlen(prefix);
	const KvKeyPrefix *known;
	int			count;

	if (len < KV_KEY_PREFIX_MIN || len > KV_KEY_PREFIX_MAX ||
		kv_first_unsendable(prefix, len) < len || strchr(prefix, ' ') != NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("key prefix must be %d to %d characters of ASCII, without spaces",
						KV_KEY_PREFIX_MIN, KV_KEY_PREFIX_MAX),
				 errhint("It is what keys begin with, byte for byte, not a pattern.")));
	known = kv_provider_prefixes(&count);
	if (kv_looks_like_key(prefix, len, known, count))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("key prefix looks like a whole key"),
				 errhint("Pass only what all of the provider's keys begin with.")));
}

static void
check_prefixes(const KvProviderRow *row)
{
	if (row->key_prefix_count > PREFIXES_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("a provider has at most %d key prefixes", PREFIXES_MAX)));
	for (int i = 0; i < row->key_prefix_count; i++)
		check_prefix(row->key_prefixes[i]);
}

static bool
is_named(const KvProvider *provider, const char *name)
{
	return strcmp(text_to_cstring(provider->name), name) == 0;
}

static void
check_not_taken(const char *name, const char *spelling)
{
	const KvProvider *other = kv_provider_find(cstring_to_text(spelling));

	if (other != NULL && !is_named(other, name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("\"%s\" already means provider \"%s\"", spelling,
						text_to_cstring(other->name))));
}

static bool
has_variable(const KvProvider *provider, const char *variable)
{
	for (int i = 0; i < provider->attribute_var_count; i++)
	{
		if (strcmp(provider->attribute_vars[i].variable, variable) == 0)
			return true;
	}
	return strcmp(provider->env_var, variable) == 0;
}

/* Two providers in one variable: setting the one would change the other. */
static void
check_variable_not_taken(const char *name, const char *variable)
{
	const KvProvider *other;

	for (int i = 0; (other = kv_provider_at(i)) != NULL; i++)
	{
		if (!is_named(other, name) && has_variable(other, variable))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("variable \"%s\" already belongs to provider \"%s\"",
							variable, text_to_cstring(other->name)),
					 errhint("Pass another variable.")));
	}
}

/* Whether the variable begins with the same word as that of the key: OPENAI_. */
static bool
is_beside_key(const char *variable, const char *env_var)
{
	size_t		word = strcspn(env_var, "_");

	return env_var[word] == '_' && strncmp(variable, env_var, word + 1) == 0;
}

/*
 * What it names is shown to whoever may look the key up, and changed when a key is set: no
 * DATABASE_URL, and nothing that decides about the mode.
 */
static void
check_attribute_variable(const char *variable, const char *env_var)
{
	check_variable_name(variable, "variable of an attribute");
	if (is_named_for_secret(variable) || ends_in(variable, "PASSWORD"))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("variable \"%s\" of an attribute is named like that of a secret", variable),
				 errdetail("Attributes stand in the database in the clear.")));
	if (!is_beside_key(variable, env_var) || strcmp(variable, "DEPLOY_ENV") == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("variable \"%s\" of an attribute does not belong with \"%s\"", variable, env_var),
				 errhint("It must begin with \"%.*s\". That keeps other variables of the .env file from being read and overwritten.",
						 (int) strcspn(env_var, "_") + 1, env_var)));
}

static void
check_attribute(const char *attribute)
{
	size_t		len = strlen(attribute);

	if (len == 0 || len > ATTRIBUTE_MAX || strspn(attribute, LETTERS "0123456789_.-") != len)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("attribute must be 1 to %d letters, digits, \"_\", \".\" or \"-\"", ATTRIBUTE_MAX)));
}

static void
check_attribute_vars(const KvProviderRow *row)
{
	if (row->attribute_var_count > ATTRIBUTES_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("a provider has variables for at most %d attributes", ATTRIBUTES_MAX)));
	for (int i = 0; i < row->attribute_var_count; i++)
	{
		const char *variable = row->attribute_vars[i].variable;

		check_attribute(row->attribute_vars[i].attribute);
		check_attribute_variable(variable, row->env_var);
		check_variable_not_taken(row->name, variable);
		for (int j = 0; j < i; j++)
		{
			if (strcmp(row->attribute_vars[j].variable, variable) == 0)
				ereport(ERROR,
						(errcode(KV_ERRCODE_BAD_ARGUMENT),
						 errmsg("variable \"%s\" stands for two attributes", variable)));
		}
	}
}

void
kv_provider_take_attribute_vars(KvProviderRow *row, Jsonb *vars)
{
	if (!kv_provider_row_take_vars(row, vars))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("attribute_vars is not an object of variable names"),
				 errhint("Pass which variable has which attribute, such as {\"base_url\": \"ACME_BASE_URL\"}.")));
}

void
kv_provider_add(KvProviderRow *row)
{
	row->name = check_name(row->name, "provider");
	check_not_taken(row->name, row->name);
	for (int i = 0; i < row->alias_count; i++)
	{
		row->aliases[i] = check_name(row->aliases[i], "alias");
		check_not_taken(row->name, row->aliases[i]);
	}
	if (row->env_var == NULL)
		row->env_var = default_variable(row->name);
	check_variable(row->env_var);
	check_variable_not_taken(row->name, row->env_var);
	if (row->display_name == NULL)
		row->display_name = default_display_name(row->name);
	check_prefixes(row);
	check_attribute_vars(row);
	kv_provider_row_put(row);
	/* the next call of this transaction sees it */
	CommandCounterIncrement();
}

void
kv_provider_remove(const char *name)
{
	const KvProvider *provider = kv_provider_resolve(cstring_to_text(name));
	char	   *own_name = text_to_cstring(provider->name);
	int64		secrets = kv_provider_row_count_secrets(own_name);

	if (secrets > 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("provider \"%s\" has stored keys", own_name),
				 errdetail_plural("%lld secret is stored for it; nobody could read or remove it without it.",
								  "%lld secrets are stored for it; nobody could read or remove them without it.",
								  secrets, (long long) secrets),
				 errhint("Remove them first, with key_vault.delete() for each user in key_vault.inventory.")));
	if (!kv_provider_row_remove(own_name))
		(void) kv_provider_row_hide(own_name);
	CommandCounterIncrement();
}
