/*
 * invalidation.c
 *		One relcache callback and one callback a syscache for the whole library,
 *		which pass on what changed.
 */
#include "postgres.h"

#include "utils/inval.h"

#include "server/invalidation.h"

#define MAX_WATCHERS 16

static KvRelationWatcher relation_watchers[MAX_WATCHERS];
static int	relation_watcher_count = 0;

static struct
{
	int			cacheid;
	KvCatalogWatcher watcher;
}			catalog_watchers[MAX_WATCHERS];
static int	catalog_watcher_count = 0;

static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < relation_watcher_count; i++)
		relation_watchers[i](relid);
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	for (int i = 0; i < catalog_watcher_count; i++)
	{
		if (catalog_watchers[i].cacheid == cacheid)
			catalog_watchers[i].watcher();
	}
}

void
kv_watch_relations(KvRelationWatcher watcher)
{
	Assert(relation_watcher_count < MAX_WATCHERS);
	if (relation_watcher_count == 0)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	relation_watchers[relation_watcher_count++] = watcher;
}

static bool
is_watched(int cacheid)
{
	for (int i = 0; i < catalog_watcher_count; i++)
	{
		if (catalog_watchers[i].cacheid == cacheid)
			return true;
	}
	return false;
}

void
kv_watch_catalog(int cacheid, KvCatalogWatcher watcher)
{
	Assert(catalog_watcher_count < MAX_WATCHERS);
	if (!is_watched(cacheid))
		CacheRegisterSyscacheCallback(cacheid, catalog_changed, (Datum) 0);
	catalog_watchers[catalog_watcher_count].cacheid = cacheid;
	catalog_watchers[catalog_watcher_count++].watcher = watcher;
}
