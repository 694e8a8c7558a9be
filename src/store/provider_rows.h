/*
 * provider_rows.h
 *		Providers: the rows of the view key_vault.providers.
 */
#ifndef KV_PROVIDER_ROWS_H
#define KV_PROVIDER_ROWS_H

#include "utils/jsonb.h"

/* Where a .env file has an attribute of a key. */
typedef struct KvAttributeVariable
{
	char	   *attribute;
	char	   *variable;
} KvAttributeVariable;

/* All palloc'd strings; NULL where the column is. */
typedef struct KvProviderRow
{
	char	   *name;
	char	   *display_name;
	char	   *env_var;
	char	   *category;
	char	   *key_url;
	bool		required;
	bool		is_own;			/* of this database, not of the extension */
	bool		is_hidden;		/* not in what kv_provider_rows_load() reads */
	char	  **aliases;
	int			alias_count;
	char	  **key_prefixes;
	int			key_prefix_count;
	KvAttributeVariable *attribute_vars;
	int			attribute_var_count;
} KvProviderRow;

/* Reads what the view shows, whoever asks, into context; ordered by name. */
extern uint64 kv_provider_rows_load(MemoryContext context, KvProviderRow **rows);

/*
 * Whether this database may have providers of its own, or hide others: a look at the
 * table's size, at a small part of what loading all costs.
 */
extern bool kv_provider_rows_may_be_own(void);

/*
 * Takes the row's attribute variables from {"attribute": "VARIABLE"}; false when it is not
 * that, and what is wrong is left out.
 */
extern bool kv_provider_row_take_vars(KvProviderRow *row, Jsonb *vars);

/* Adds a provider of this database, or replaces it. */
extern void kv_provider_row_put(const KvProviderRow *row);

/* Removes a provider of this database; false when there is none. */
extern bool kv_provider_row_remove(const char *name);

/* Hides a provider that comes with the extension; false when there is none. */
extern bool kv_provider_row_hide(const char *name);

/* How many secrets are stored for a provider. */
extern int64 kv_provider_row_count_secrets(const char *name);

#endif							/* KV_PROVIDER_ROWS_H */
