/*
 * provider_rows.h
 *		The rows of the view key_vault.providers.
 */
#ifndef KV_PROVIDER_ROWS_H
#define KV_PROVIDER_ROWS_H

/* All palloc'd strings; NULL where the column is. */
typedef struct KvProviderRow
{
	char	   *name;
	char	   *display_name;
	char	   *env_var;
	char	   *key_pattern;
	bool		required;
	char	  **aliases;
	int			alias_count;
} KvProviderRow;

/* Reads all, as the extension's owner, into context; ordered by name. */
extern uint64 kv_provider_rows_load(MemoryContext context, KvProviderRow **rows);

#endif							/* KV_PROVIDER_ROWS_H */
