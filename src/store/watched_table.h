/*
 * watched_table.h
 *		Tables of ours of which backends keep something: which one it is, or what is in
 *		it, for which its trigger metadata_changed tells them when to read it anew.
 */
#ifndef KV_WATCHED_TABLE_H
#define KV_WATCHED_TABLE_H

#include "utils/relcache.h"

typedef struct KvWatchedTable
{
	const char *name;			/* in schema key_vault_data; the rest is zero at first */
	Oid			relid;			/* InvalidOid: look it up */
	bool		is_silent;		/* its trigger may not have fired */
	uint64		changes;
} KvWatchedTable;

/* Begins to watch it; for _PG_init, once for each table, which lives as long as the process. */
extern void kv_watch_table(KvWatchedTable *table);

/*
 * How often the table has changed, never 0: what was found out after that number was taken is
 * good for as long as the number stays.  A change of rows counts where the trigger is.  Of a
 * table whose trigger does not always fire, each call gives another number.
 */
static inline uint64
kv_watched_table_changes(KvWatchedTable *table)
{
	if (unlikely(table->is_silent))
		table->changes++;
	return table->changes;
}

/* InvalidOid when it is missing. */
extern Oid	kv_watched_table_oid(KvWatchedTable *table);

/* The same.  Errors: 55000 when it is missing. */
extern Oid	kv_watched_table_require(KvWatchedTable *table);

/* Opens it with AccessShareLock, to read what is in it.  Errors: 55000 when it is missing. */
extern Relation kv_watched_table_open(KvWatchedTable *table);

#endif							/* KV_WATCHED_TABLE_H */
