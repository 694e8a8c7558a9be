/*
 * secret_indexes.c
 *		The indexes of key_vault_data.secrets: which of them a new row is in.
 *
 * There are two.  To open the one on expiry, only to find that a row without an
 * expiry is not in it, would cost every set() more than putting the row into the
 * primary key does.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "server/compat.h"
#include "store/held_locks.h"
#include "store/index_shape.h"
#include "store/secret_indexes.h"
#include "store/secret_table.h"

/* By its shape: REINDEX CONCURRENTLY has another one beside it for a while. */
static bool
is_expiry_index(Oid index_oid)
{
	static const AttrNumber columns[] = {
		KV_SECRETS_EXPIRES_AT, KV_SECRETS_USER_ID, KV_SECRETS_PROVIDER,
		KV_SECRETS_LABEL, KV_SECRETS_VERSION
	};
	Relation	index = index_open(index_oid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool		it_is = index->rd_rel->relam == BTREE_AM_OID && !form->indisunique &&
		form->indnatts == lengthof(columns) &&
		kv_index_is_where_not_null(index, KV_SECRETS_EXPIRES_AT);

	for (int i = 0; it_is && i < (int) lengthof(columns); i++)
		it_is = form->indkey.values[i] == columns[i];
	index_close(index, AccessShareLock);
	return it_is;
}

bool
kv_secret_indexes_are_ours(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			primary_key = kv_primary_key_index(rel);
	bool		are_ours = true;
	ListCell   *cell;

	foreach(cell, indexes)
		are_ours = are_ours &&
			(lfirst_oid(cell) == primary_key || is_expiry_index(lfirst_oid(cell)));
	list_free(indexes);
	return are_ours;
}

/*
 * The lock for writing that the table has keeps everybody away from its indexes whom
 * one on the index would keep away.
 */
void
kv_secret_indexes_open_primary_key(ResultRelInfo *target, KvKeptIndex *kept,
								   MemoryContext context)
{
	Relation	index = kv_index_open_to_read(kv_primary_key_index(target->ri_RelationDesc));

	if (kept->oid != RelationGetRelid(index))
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		kept->info = BuildIndexInfo(index);
		kept->oid = RelationGetRelid(index);
		MemoryContextSwitchTo(caller);
	}
	target->ri_NumIndices = 1;
	target->ri_IndexRelationDescs = palloc(sizeof(Relation));
	target->ri_IndexRelationDescs[0] = index;
	target->ri_IndexRelationInfo = palloc(sizeof(IndexInfo *));
	target->ri_IndexRelationInfo[0] = kept->info;
}

void
kv_secret_indexes_close_primary_key(ResultRelInfo *target)
{
	index_close(target->ri_IndexRelationDescs[0], NoLock);
}
