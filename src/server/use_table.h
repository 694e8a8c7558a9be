/*
 * use_table.h
 *		Where backends count the uses of keys for the worker of their database to write.
 *
 * It is in the server's shared memory, when the library is in shared_preload_libraries,
 * and of a fixed size: where it is full, what was counted longest ago goes.  Nobody
 * waits for the worker, and nothing here can fail.
 */
#ifndef KV_USE_TABLE_H
#define KV_USE_TABLE_H

#include "datatype/timestamp.h"

#define KV_USE_NAME_BYTES (255 + 63 + 63)	/* a user id, a provider and a label */

/* One version of one secret. */
typedef struct KvUsedKey
{
	const text *user_id;
	const text *provider;
	const text *label;
	int32		version;
	TimestampTz set_at;			/* when that version was set */
} KvUsedKey;

/* What was counted of one and is not written yet; names stand one behind the other. */
typedef struct KvCountedUse
{
	int32		version;
	TimestampTz set_at;
	TimestampTz used_at;		/* the last time */
	int64		uses;
	uint8		user_id_len;
	uint8		provider_len;
	uint8		label_len;
	char		names[KV_USE_NAME_BYTES];
} KvCountedUse;

/* When the server loads the library. */
extern void kv_use_table_init(void);

extern bool kv_use_table_exists(void);

/*
 * Counts a use, and starts a worker where it is time to write and there is none.  Does nothing
 * without the memory and on a standby.
 */
extern void kv_use_count(const KvUsedKey *key);

/*
 * Has the memory that kv_use_count() will need fetched meanwhile: it is seldom in the CPU's
 * cache.  The version may be unknown.
 */
extern void kv_use_expect(const KvUsedKey *key);

/*
 * What is counted of a version and not written yet; false when nothing is.  written is the last use that
 * the caller saw written, 0 for none: what the worker is writing just now counts when it is later.
 */
extern bool kv_use_counted(const KvUsedKey *key, TimestampTz written, int64 *uses,
						   TimestampTz *used_at);


/* For the worker alone */

/* This process is its database's worker from now on.  False when there is one. */
extern bool kv_use_serve(void);

/*
 * Takes what it is time to write, at most so many: a secret that was not written for a
 * minute, or any (everything).  How many.
 */
extern int	kv_use_take(bool everything, KvCountedUse *taken, int max);

/* Puts back what could not be written: it is tried again after a minute, if it is still there. */
extern void kv_use_give_back(const KvCountedUse *taken);

/* What was taken is written, and committed, or was put back. */
extern void kv_use_written(const KvCountedUse *taken);

/* The worker goes, unless there is something to write after all. */
extern bool kv_use_may_leave(void);

#endif							/* KV_USE_TABLE_H */
