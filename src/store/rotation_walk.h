/*
 * rotation_walk.h
 *		Where a rotation is where Citus has the rows: in each shard, how far along the
 *		primary key.
 *
 * One rotation runs in a session, and its walk is the session's, from the first batch of a
 * pass to the last.
 */
#ifndef KV_ROTATION_WALK_H
#define KV_ROTATION_WALK_H

#include "store/rotation_rows.h"

/* For SQL: whether a row of secrets is not yet as it shall be. */
#define KV_ROTATION_IS_LEFT(s, root_key_id, without_hint) \
	" (" s ".root_key_id OPERATOR(pg_catalog.<>) " root_key_id \
	" OR (" without_hint " AND " s ".hint IS NOT NULL))"

typedef struct KvShardWalk
{
	text	   *user_id;		/* of a row that is in the shard */
	int32		node;			/* where the shard is */
	const KvRotationRow *after; /* behind which to go on; NULL: at the first row */
	bool		ended;			/* there are no more */
	MemoryContext context;		/* of after */
} KvShardWalk;

/* Starts a pass: finds the shards that have rows left. */
extern void kv_rotation_walk_start(const KvRotationGoal *goal);

/* Whether a pass has started, and not ended. */
extern bool kv_rotation_walk_is_on(void);

/*
 * The shards that are next, one on each node that has any with rows left: the answer is the
 * length of *shards, which is palloc'd.  0 ends the pass.
 */
extern int	kv_rotation_walk_next(KvShardWalk ***shards);

/* The shard after that one on the same node that has rows left, or NULL. */
extern KvShardWalk *kv_rotation_walk_beside(const KvShardWalk *shard);

/* The shard goes on behind that row. */
extern void kv_rotation_walk_advance(KvShardWalk *shard, const KvRotationRow *row);

#endif							/* KV_ROTATION_WALK_H */
