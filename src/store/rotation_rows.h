/*
 * rotation_rows.h
 *		The rows of key_vault_data.secrets in batches of many users, for re-sealing,
 *		and the row that tells how far that is.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_ROTATION_ROWS_H
#define KV_ROTATION_ROWS_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "storage/itemptr.h"

#include "store/secret_rows.h"

/* One version of one secret. */
typedef struct KvRotationRow
{
	KvSecretName name;
	KvSecretRow row;
	Oid			table;			/* or partition */
	ItemPointerData place;		/* in it, for as long as the row is locked */
} KvRotationRow;

/* Whether rows are locked, and what becomes of those that others have locked. */
typedef enum KvLocked
{
	KV_LOCKED_READ,				/* no lock: all rows, as they are */
	KV_LOCKED_SKIP,
	KV_LOCKED_WAIT
} KvLocked;

/* How far a rotation is, as other sessions see it. */
typedef struct KvRotationProgress
{
	int64		total;			/* that another root key sealed at the start */
	int64		done;
	int64		failed;			/* that do not open */
} KvRotationProgress;

/* How many rows any other root key sealed. */
extern int64 kv_rotation_rows_count(const char *root_key_id);

/*
 * Reads the next rows, at most limit of them, that any other root key sealed: those
 * after *after by primary key, or from the first when after is NULL.  The answer
 * is the length of *rows, which is palloc'd.
 *
 * KV_LOCKED_WAIT takes a limit of 1: who holds no lock on a row while it waits for one
 * takes part in no deadlock.
 */
extern int	kv_rotation_rows_next(const char *root_key_id,
								  const KvRotationRow *after, int limit,
								  KvLocked locked, KvRotationRow **rows);

/*
 * Writes sealed and root_key_id of rows that are locked, all now sealed with
 * root_key_id, and calls check for each row written.  Returns how many were.
 */
extern uint64 kv_rotation_rows_update(const char *root_key_id,
									  KvRotationRow **rows, int count,
									  void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns));

/* What the view key_vault.rotation_progress shows. */
extern void kv_rotation_rows_started(const char *root_key_id, int64 total);
extern void kv_rotation_rows_progress(const char *root_key_id,
									  const KvRotationProgress *progress);
extern void kv_rotation_rows_finished(void);

#endif							/* KV_ROTATION_ROWS_H */
