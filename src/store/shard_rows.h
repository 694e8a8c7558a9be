/*
 * shard_rows.h
 *		What the owner's views show, where Citus has the rows: it names shards as the caller,
 *		who may not, and so a view cannot ask for them.
 */
#ifndef KV_SHARD_ROWS_H
#define KV_SHARD_ROWS_H

#include "utils/tuplestore.h"

typedef enum KvShardView
{
	KV_SHARD_INVENTORY,
	KV_SHARD_API_KEYS,
	KV_SHARD_MONTHLY_COSTS,
	KV_SHARD_ROOT_KEYS
} KvShardView;

/*
 * Puts the view's rows into a function's result, as the extension's owner: those of one
 * user, or all when it is NULL.  Of the first and the last view there are no rows of one user.
 *
 * Errors: 22023 unless columns are the view's.
 */
extern void kv_shard_rows_report(KvShardView view, text *user_id,
								 Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_SHARD_ROWS_H */
