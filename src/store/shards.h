/*
 * shards.h
 *		Many names at once, where Citus has the rows: in groups that lie in one shard
 *		each, for Citus locks rows in one shard at a time only.
 */
#ifndef KV_SHARDS_H
#define KV_SHARDS_H

#include "store/secret_rows.h"

/*
 * For SQL that locks rows, with the users as an array: what keeps a statement in one shard.
 * Undistributed tables need none of it, and their statements lack it.
 */
#define KV_IN_SHARD(s, users) " AND " s ".user_id OPERATOR(pg_catalog.=) ANY (" users ")"

typedef struct KvShard
{
	int64		id;
	int32		first;			/* of the hashes of users that are in it */
	int32		last;
	int32		node;			/* the number that Citus has for it */
} KvShard;

/* All shards of secrets, which is distributed, palloc'd, in the order of their hashes; how many. */
extern int	kv_shards(KvShard **shards);

/* The one in which a user's rows are.  Were it another, Citus would refuse what locks rows. */
extern const KvShard *kv_shard_of(const text *user_id, const KvShard *shards, int count);

/*
 * As kv_statement_keep_to_primary_key(), for the plans of workers and until the transaction
 * ends: else one that has few rows reads all of them for each batch.
 */
extern void kv_shards_keep_to_primary_key(void);

typedef struct KvShardGroup
{
	const int  *members;		/* numbers of names, in their order */
	int			count;
} KvShardGroup;

/*
 * The answer is the length of *groups, which is palloc'd: one for each shard that has any of
 * the names; one with all names where tables are not distributed.
 */
extern int	kv_shard_groups(const KvSecretName *names, int count, KvShardGroup **groups);

/* The names of a group, palloc'd. */
extern KvSecretName *kv_shard_group_names(const KvSecretName *names, const KvShardGroup *group);

#endif							/* KV_SHARDS_H */
