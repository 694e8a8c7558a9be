/*
 * watched_table.c
 *		Tables of ours of which backends keep something.  What that is is not known here.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "server/errors.h"
#include "server/invalidation.h"
#include "store/statement.h"
#include "store/watched_table.h"

#define TABLES_MAX 12

static KvWatchedTable *tables[TABLES_MAX];
static int	table_count = 0;

static void
note_change(Oid relid)
{
	for (int i = 0; i < table_count; i++)
	{
		if (relid != InvalidOid && relid != tables[i]->relid)
			continue;
		tables[i]->relid = InvalidOid;
		tables[i]->changes++;
	}
}

void
kv_watch_table(KvWatchedTable *table)
{
	Assert(table_count < TABLES_MAX);
	if (table_count == 0)
		kv_watch_relations(note_change);
	table->changes = 1;
	tables[table_count++] = table;
}

Oid
kv_watched_table_oid(KvWatchedTable *table)
{
	if (!OidIsValid(table->relid))
		table->relid = get_relname_relid(table->name, kv_data_schema());
	return table->relid;
}

Oid
kv_watched_table_require(KvWatchedTable *table)
{
	Oid			relid = kv_watched_table_oid(table);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("table \"key_vault_data.%s\" is missing", table->name),
				 errhint("Install the extension key_vault anew.")));
	return relid;
}

/*
 * Whether each change of a row is told, also one that logical replication applies, which
 * fires no triggers but those that fire always.  A restore with --disable-triggers leaves
 * them enabled in another way.  Of TRUNCATE, the server itself tells.
 */
static bool
tells_of_changes(Relation relation)
{
	const TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, "metadata_changed") == 0)
			return trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
	}
	return false;
}

Relation
kv_watched_table_open(KvWatchedTable *table)
{
	Relation	relation = table_open(kv_watched_table_require(table), AccessShareLock);

	table->is_silent = !tells_of_changes(relation);
	return relation;
}
