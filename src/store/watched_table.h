/*
 * watched_table.h
 *		Tables of which backends keep a copy, and whose trigger metadata_changed tells them
 *		when to read it anew.
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
 * How often the table has changed, never 0: what was read after that number was taken is good
 * for as long as the number stays.  Of a table whose trigger does not always fire, each call
 * gives another number.
 */
extern uint64 kv_watched_table_changes(KvWatchedTable *table);

/* Opens it with AccessShareLock.  Errors: 55000 when it is missing. */
extern Relation kv_watched_table_open(KvWatchedTable *table);

#endif							/* KV_WATCHED_TABLE_H */
