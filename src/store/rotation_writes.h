/*
 * rotation_writes.h
 *		The straight way of writing what a rotation has sealed anew.
 */
#ifndef KV_ROTATION_WRITES_H
#define KV_ROTATION_WRITES_H

#include "store/rotation_rows.h"

/*
 * As kv_rotation_rows_update().  False, and nothing is written, when a statement has to
 * do it: the table is not as shipped, or an auditor hooks in.
 */
extern bool kv_rotation_write_straight(const KvRotationGoal *goal, KvRotationRow **rows,
									   int count, const KvRowCheck *check,
									   uint64 *written);

#endif							/* KV_ROTATION_WRITES_H */
