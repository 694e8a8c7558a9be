/*
 * provider_names.h
 *		The names that the backend keeps, for providers.c.
 */
#ifndef KV_PROVIDER_NAMES_H
#define KV_PROVIDER_NAMES_H

#include "vault/providers/providers.h"

/*
 * The provider with this very name or alias, or NULL.  A database's own come first, and
 * a name comes before another provider's alias.
 */
extern const KvProvider *kv_provider_spelled(const char *name, int len);

/* The own name of the provider that is spelled most alike; NULL when none is near. */
extern const char *kv_provider_nearest(const char *name, int len);

#endif							/* KV_PROVIDER_NAMES_H */
