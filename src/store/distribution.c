/*
 * distribution.c
 *		Asks the catalogs of Citus, by their names, whether our tables are distributed.
 *
 * Citus keeps them in pg_catalog, where nobody else can make a table.  It is never
 * linked to, and where it is not installed one look into the catalog tells.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/distribution.h"
#include "store/watched_table.h"

/* The tables whose rows belong to users: Citus may distribute these by user_id. */
static KvWatchedTable tables[] = {{.name = "secrets"}, {.name = "usage"}};

static struct
{
	uint64		changes;		/* of all tables together, before they were looked at; 0: never */
	KvDistribution state;
}			known = {0};

void
kv_distribution_init(void)
{
	for (int i = 0; i < (int) lengthof(tables); i++)
		kv_watch_table(&tables[i]);
}

/* A column by its name: what Citus calls it has stayed, where it stands has not. */
static AttrNumber
column_of(Oid catalog, const char *name)
{
	AttrNumber	column = get_attnum(catalog, name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"pg_catalog.%s\" has no column \"%s\"", get_rel_name(catalog), name),
				 errdetail("key_vault asks it whether Citus has distributed its tables.")));
	return column;
}

/* With a fresh snapshot, as catalogs are read. */
static bool
is_in_partitions(Oid partitions, Oid table)
{
	Relation	rel = table_open(partitions, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, column_of(partitions, "logicalrelid"), BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The coordinator's group is 0. */
static bool
is_coordinator(void)
{
	Oid			groups = get_relname_relid("pg_dist_local_group", PG_CATALOG_NAMESPACE);
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;
	int32		group = 0;

	if (!OidIsValid(groups))
		return true;
	rel = table_open(groups, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		group = DatumGetInt32(heap_getattr(tuple, column_of(groups, "groupid"),
										   RelationGetDescr(rel), &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return group == 0;
}

static uint64
changes_of_tables(void)
{
	uint64		changes = 0;

	for (int i = 0; i < (int) lengthof(tables); i++)
		changes += kv_watched_table_changes(&tables[i]);
	return changes;
}

static KvDistribution
read_state(void)
{
	Oid			partitions = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	bool		any = false;

	for (int i = 0; i < (int) lengthof(tables) && OidIsValid(partitions); i++)
	{
		Oid			table = kv_watched_table_oid(&tables[i]);

		any = any || (OidIsValid(table) && is_in_partitions(partitions, table));
	}
	if (!any)
		return KV_UNDISTRIBUTED;
	return is_coordinator() ? KV_DISTRIBUTED_FROM_HERE : KV_DISTRIBUTED_FROM_ELSEWHERE;
}

KvDistribution
kv_distribution(void)
{
	uint64		changes = changes_of_tables();

	if (unlikely(known.changes != changes))
	{
		/* even without Citus: what changes a table that is not known here does not count */
		for (int i = 0; i < (int) lengthof(tables); i++)
			(void) kv_watched_table_oid(&tables[i]);
		known.state = read_state();
		known.changes = changes;
	}
	return known.state;
}

bool
kv_is_distributed(void)
{
	return kv_distribution() == KV_DISTRIBUTED_FROM_HERE;
}

void
kv_distribution_refuse_worker(void)
{
	if (kv_distribution() != KV_DISTRIBUTED_FROM_ELSEWHERE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("API keys are distributed by Citus, and this node is a worker"),
			 errdetail("A call that Citus pushes down to a worker, or that is made there, reaches no key."),
			 errhint("Call key_vault on the coordinator, with values and not with columns of a distributed table.")));
}
