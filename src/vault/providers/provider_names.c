/*
 * provider_names.c
 *		A sorted copy of all names of providers, and of their keys' prefixes, that the
 *		backend keeps.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "server/invalidation.h"
#include "server/redaction/redaction.h"
#include "store/provider_rows.h"
#include "store/statement.h"
#include "vault/providers/provider_names.h"
#include "vault/providers/providers.h"

/* A name or an alias, as callers may spell it. */
typedef struct Spelling
{
	const char *name;
	int			len;
	bool		is_own;			/* of the database's own providers */
	bool		is_alias;
	int			provider;		/* where in providers */
} Spelling;

/* All that is registered, and where it is kept. */
typedef struct Names
{
	MemoryContext context;
	KvProvider *providers;
	int			provider_count;
	Spelling   *spellings;		/* sorted */
	int			spelling_count;
	KvKeyPrefix *prefixes;		/* of the extension's providers, then of others */
	int			prefix_count;
	int			builtin_prefix_count;
} Names;

static Names *names = NULL;
static bool names_are_valid = false;
static Oid	own_providers_oid = InvalidOid;
static Oid	builtin_providers_oid = InvalidOid;

/* What is known of own_providers by itself. */
static enum
{
	OWN_UNKNOWN,
	OWN_NONE,
	OWN_SOME
}			own = OWN_UNKNOWN;

static void
forget_names(Oid relid)
{
	if (relid == InvalidOid || relid == own_providers_oid)
		own = OWN_UNKNOWN;
	if (relid == InvalidOid || relid == own_providers_oid ||
		relid == builtin_providers_oid)
		names_are_valid = false;
}

void
kv_providers_init(void)
{
	kv_watch_relations(forget_names);
}

static int
compare_bytes(const char *a, int a_len, const char *b, int b_len)
{
	int			order = memcmp(a, b, Min(a_len, b_len));

	return order != 0 ? order : a_len - b_len;
}

/* By spelling; the database's own first, and a name before another's alias. */
static int
compare_spellings(const void *a, const void *b)
{
	const Spelling *left = a;
	const Spelling *right = b;
	int			order = compare_bytes(left->name, left->len, right->name, right->len);

	if (order == 0)
		order = (int) right->is_own - (int) left->is_own;
	return order != 0 ? order : (int) left->is_alias - (int) right->is_alias;
}

static void
add_spelling(Names *new, const char *name, const KvProviderRow *row, int provider)
{
	Spelling   *spelling = &new->spellings[new->spelling_count++];

	spelling->name = name;
	spelling->len = strlen(name);
	spelling->is_own = row->is_own;
	spelling->is_alias = name != row->name;
	spelling->provider = provider;
}

static void
add_provider(Names *new, const KvProviderRow *row)
{
	KvProvider *provider = &new->providers[new->provider_count];

	provider->name = cstring_to_text(row->name);
	provider->display_name = row->display_name;
	provider->env_var = row->env_var;
	provider->key_url = row->key_url;
	provider->required = row->required;
	provider->attribute_vars = row->attribute_vars;
	provider->attribute_var_count = row->attribute_var_count;
	add_spelling(new, row->name, row, new->provider_count);
	for (int i = 0; i < row->alias_count; i++)
		add_spelling(new, row->aliases[i], row, new->provider_count);
	new->provider_count++;
}

static void
add_prefixes(Names *new, const KvProviderRow *row, KvProvider *provider)
{
	provider->key_prefixes = &new->prefixes[new->prefix_count];
	provider->key_prefix_count = row->key_prefix_count;
	for (int i = 0; i < row->key_prefix_count; i++)
	{
		KvKeyPrefix *prefix = &new->prefixes[new->prefix_count++];

		prefix->text = row->key_prefixes[i];
		prefix->len = strlen(row->key_prefixes[i]);
	}
}

/* All prefixes, those of the extension's own providers first. */
static void
collect_prefixes(Names *new, const KvProviderRow *rows, uint64 count)
{
	int			total = 0;

	for (uint64 i = 0; i < count; i++)
		total += rows[i].key_prefix_count;
	new->prefixes = palloc(sizeof(KvKeyPrefix) * Max(total, 1));
	for (uint64 i = 0; i < count; i++)
	{
		if (!rows[i].is_own)
			add_prefixes(new, &rows[i], &new->providers[i]);
	}
	new->builtin_prefix_count = new->prefix_count;
	for (uint64 i = 0; i < count; i++)
	{
		if (rows[i].is_own)
			add_prefixes(new, &rows[i], &new->providers[i]);
	}
}

/* Reads all, into the current context. */
static Names *
build_names(void)
{
	Names	   *new = palloc0(sizeof(Names));
	KvProviderRow *rows;
	uint64		count = kv_provider_rows_load(CurrentMemoryContext, &rows);
	int			total = 0;

	for (uint64 i = 0; i < count; i++)
		total += 1 + rows[i].alias_count;
	new->context = CurrentMemoryContext;
	new->spellings = palloc(sizeof(Spelling) * Max(total, 1));
	new->providers = palloc0(sizeof(KvProvider) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
		add_provider(new, &rows[i]);
	collect_prefixes(new, rows, count);
	qsort(new->spellings, new->spelling_count, sizeof(Spelling), compare_spellings);
	return new;
}

static void
load_names(void)
{
	Oid			namespace = kv_data_schema();
	MemoryContext context;
	MemoryContext caller;
	Names	   *new;

	own_providers_oid = get_relname_relid("own_providers", namespace);
	builtin_providers_oid = get_relname_relid("builtin_providers", namespace);
	context = AllocSetContextCreate(TopMemoryContext, "key_vault providers",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);

	/* Before reading: a change that comes in meanwhile must not be lost. */
	names_are_valid = true;
	PG_TRY();
	{
		new = build_names();
	}
	PG_CATCH();
	{
		names_are_valid = false;
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);

	kv_redaction_look_for(new->prefixes, new->prefix_count);
	if (names != NULL)
		MemoryContextDelete(names->context);
	names = new;
}

const KvProvider *
kv_provider_spelled(const char *name, int len)
{
	int			low = 0;
	int			high;
	const Spelling *spellings;

	if (!names_are_valid)
		load_names();
	high = names->spelling_count;
	spellings = names->spellings;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_bytes(spellings[middle].name, spellings[middle].len, name, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < names->spelling_count &&
		compare_bytes(spellings[low].name, spellings[low].len, name, len) == 0)
		return &names->providers[spellings[low].provider];
	return NULL;
}

const char *
kv_provider_nearest(const char *name, int len)
{
	const char *nearest = NULL;
	int			best = 4;		/* farther than that is no help */

	if (names == NULL)
		return NULL;
	for (int i = 0; i < names->spelling_count; i++)
	{
		const Spelling *known = &names->spellings[i];
		int			distance = varstr_levenshtein_less_equal(name, len,
															 known->name, known->len,
															 1, 1, 1, best - 1, true);

		if (distance < best && distance < Max(len, known->len))
		{
			best = distance;
			nearest = text_to_cstring(names->providers[known->provider].name);
		}
	}
	return nearest;
}

bool
kv_providers_are_as_shipped(void)
{
	if (own == OWN_UNKNOWN)
	{
		own_providers_oid = get_relname_relid("own_providers", kv_data_schema());
		/* Until it is known; and a change that comes in meanwhile must not be lost. */
		own = OWN_SOME;
		if (!kv_provider_rows_may_be_own() && own == OWN_SOME)
			own = OWN_NONE;
	}
	return own == OWN_NONE;
}

const KvProvider *
kv_provider_at(int position)
{
	if (!names_are_valid)
		load_names();
	return position < names->provider_count ? &names->providers[position] : NULL;
}

const KvKeyPrefix *
kv_provider_prefixes(int *count)
{
	if (!names_are_valid)
		load_names();
	*count = names->prefix_count;
	return names->prefixes;
}

const KvKeyPrefix *
kv_provider_builtin_prefixes(int *count)
{
	if (!names_are_valid)
		load_names();
	*count = names->builtin_prefix_count;
	return names->prefixes;
}
