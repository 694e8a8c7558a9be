/*
 * rotation_shards.h
 *		The rows of a rotation where Citus has them, for rotation_rows.c.
 *
 * The functions are rotation_rows.h's, but for their names.  Rows come without a place:
 * they are on other nodes.
 */
#ifndef KV_ROTATION_SHARDS_H
#define KV_ROTATION_SHARDS_H

#include "store/rotation_rows.h"

extern int	kv_rotation_shards_next(const KvRotationGoal *goal,
									const KvRotationRow *after, int limit,
									KvLocked locked, KvRotationRow **rows);

extern uint64 kv_rotation_shards_update(const KvRotationGoal *goal,
										KvRotationRow **rows, int count,
										const KvRowCheck *check);

#endif							/* KV_ROTATION_SHARDS_H */
