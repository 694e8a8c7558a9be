/*
 * provider_changes.h
 *		Adding and removing providers of this database.
 */
#ifndef KV_PROVIDER_CHANGES_H
#define KV_PROVIDER_CHANGES_H

#include "store/provider_rows.h"

/*
 * Adds a provider, or replaces the one of that name.  NULL stands for what is
 * derived from the name: env_var NAME_API_KEY, display_name Name.
 *
 * Errors: 22023 for a bad name, variable, alias, pattern or attribute; 42710 for a
 * variable or alias that another provider has.
 */
extern void kv_provider_add(KvProviderRow *row);

/* The row's attribute variables from {"attribute": "VARIABLE"}.  Errors: 22023. */
extern void kv_provider_take_attribute_vars(KvProviderRow *row, Jsonb *vars);

/*
 * Removes a provider of this database, or hides one that comes with the
 * extension.  Errors: 42704 when there is none; 55000 while keys are stored.
 */
extern void kv_provider_remove(const char *name);

#endif							/* KV_PROVIDER_CHANGES_H */
