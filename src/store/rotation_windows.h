/*
 * rotation_windows.h
 *		Which rows a rotation takes next where Citus has them: the names of one shard at
 *		a time.
 *
 * One rotation runs in a session, and its windows are the session's, from the first names of
 * a pass to the last.
 */
#ifndef KV_ROTATION_WINDOWS_H
#define KV_ROTATION_WINDOWS_H

#include "store/rotation_rows.h"

/* For SQL: whether a row of secrets is not yet as it shall be. */
#define KV_ROTATION_IS_LEFT(s, root_key_id, without_hint) \
	" (" s ".root_key_id OPERATOR(pg_catalog.<>) " root_key_id \
	" OR (" without_hint " AND " s ".hint IS NOT NULL))"

/* Starts a pass behind *after, or with the first row when it is NULL. */
extern void kv_rotation_windows_open(const KvRotationGoal *goal, const KvRotationRow *after);

extern bool kv_rotation_windows_are_open(void);

/*
 * The next names of one shard, at most limit of them, whose rows are not yet as they shall
 * be: of a row nothing but name and version is known.  The answer is the length of
 * *names, which is palloc'd; 0 when there are no more.
 */
extern int	kv_rotation_windows_next(const KvRotationGoal *goal, int limit, KvRotationRow **names);

extern void kv_rotation_windows_close(void);

/* The names of rows, palloc'd. */
extern KvSecretName *kv_rotation_row_names(const KvRotationRow *const *rows, int count);

extern const KvRotationRow **kv_rotation_row_pointers(const KvRotationRow *rows, int count);

#endif							/* KV_ROTATION_WINDOWS_H */
