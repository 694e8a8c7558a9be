/*
 * providers.h
 *		Which providers there are.
 */
#ifndef KV_PROVIDERS_H
#define KV_PROVIDERS_H

#include "format/key_looks.h"
#include "store/provider_rows.h"

typedef struct KvProvider
{
	text	   *name;
	char	   *display_name;
	char	   *env_var;
	const KvKeyPrefix *key_prefixes;	/* what its keys begin with */
	int			key_prefix_count;
	const KvAttributeVariable *attribute_vars;	/* in a .env file */
	int			attribute_var_count;
	char	   *key_url;		/* where a user gets a key, or NULL */
	bool		required;
} KvProvider;

/* Drops what is cached when the tables change; once a process. */
extern void kv_providers_init(void);

/*
 * The provider that a call names, trimmed, in any case, by an alias or its
 * own name.  Good until the next call of a function of this header.
 *
 * Errors: 22004 for NULL; 22023 for an empty name; 42704 for an unknown one,
 * with the nearest name as the hint.
 */
extern const KvProvider *kv_provider_resolve(const text *name);

/* The same without errors: NULL when no provider is meant. */
extern const KvProvider *kv_provider_find(const text *name);

/*
 * Whether providers are those that come with the extension: then a name that something
 * is stored under means itself.
 */
extern bool kv_providers_are_as_shipped(void);

/* Trims white space and lower-cases ASCII letters, in place; the new start. */
extern char *kv_provider_normalize(char *name, int *len);

/* The provider at a position from 0, in no order; NULL behind the last. */
extern const KvProvider *kv_provider_at(int position);

/*
 * Whether the key begins as the provider's keys do, white space apart; true without
 * prefixes.
 */
extern bool kv_provider_key_matches(const KvProvider *provider,
									const char *api_key, int len);

/*
 * The prefixes of all registered providers; of those that come with the extension,
 * which an admin can hide but not change.  Good until the next call of a function of
 * this header.
 */
extern const KvKeyPrefix *kv_provider_prefixes(int *count);
extern const KvKeyPrefix *kv_provider_builtin_prefixes(int *count);

#endif							/* KV_PROVIDERS_H */
