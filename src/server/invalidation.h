/*
 * invalidation.h
 *		Tells whoever keeps a copy of what the catalogs say that it changed.
 *
 * The one place that registers cache callbacks: all libraries together have ten
 * relcache callbacks on 15 and 16, and a process that asks for an eleventh dies.
 *
 * A watcher is called while messages are taken in, at any lock, and once for each
 * message: it may only note that its copy is no longer good.  It must not throw,
 * and must not look into a catalog.
 */
#ifndef KV_INVALIDATION_H
#define KV_INVALIDATION_H

#include "utils/syscache.h"

/* relid is InvalidOid when any relation may have changed. */
typedef void (*KvRelationWatcher) (Oid relid);
typedef void (*KvCatalogWatcher) (void);

/* Registers a watcher of all relations; for _PG_init, once for each watcher. */
extern void kv_watch_relations(KvRelationWatcher watcher);

/* The same of one catalog, named by one of its syscaches (AUTHOID, ...). */
extern void kv_watch_catalog(int cacheid, KvCatalogWatcher watcher);

#endif							/* KV_INVALIDATION_H */
