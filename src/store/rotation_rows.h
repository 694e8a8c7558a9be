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

#include "store/policy.h"
#include "store/secret_rows.h"

/* What is sealed begins with what no other has: by so many bytes it is known again. */
#define KV_SEAL_START 33

/* One version of one secret. */
typedef struct KvRotationRow
{
	KvSecretName name;
	KvSecretRow row;
	Oid			table;			/* or partition */
	ItemPointerData place;		/* in it, for as long as the row is locked */

	/* Where Citus has the row, and it is locked: as it was read, whatever row is now. */
	char		seal_start[KV_SEAL_START];
	HeapTuple	whole;			/* all columns of the table, in this shape */
	TupleDesc	columns;
} KvRotationRow;

#define KV_ROTATION_ROW_COLUMNS \
	"user_id, provider, label, version, root_key_id, sealed, hint, expires_at, attributes, tableoid, ctid"

/* A row with these columns, copied into the current memory context. */
extern void kv_rotation_row_unpack(HeapTuple tuple, TupleDesc columns, KvRotationRow *row);

/*
 * Where a row is in the primary key: its name and version alone.  The copy is all that is in
 * the context from then on.
 */
extern KvRotationRow *kv_rotation_row_position(const KvRotationRow *row, MemoryContext context);

/* What every row shall be in the end. */
typedef struct KvRotationGoal
{
	char		root_key_id[KV_ROOT_KEY_ID_HEX + 1];	/* sealed with it */
	bool		without_hint;
} KvRotationGoal;

/* For SQL: parameters $1 to $7 for the rows behind one, or from the first when after is NULL. */
extern void kv_rotation_rows_behind(const KvRotationGoal *goal, const KvRotationRow *after, int limit,
									Datum values[static 7]);

/* Which of the rows that are not yet so are taken. */
typedef enum KvLocked
{
	KV_LOCKED_READ,				/* all, as they are, and none is locked */
	KV_LOCKED_SKIP				/* those that others have not locked: they are locked now */
} KvLocked;

/* How far a rotation is, as other sessions see it. */
typedef struct KvRotationProgress
{
	int64		total;			/* there were to re-seal at the start */
	int64		done;
	int64		failed;			/* that do not open */
} KvRotationProgress;

/* How many rows are not yet as they shall be. */
extern int64 kv_rotation_rows_count(const KvRotationGoal *goal);

/*
 * Reads the next rows, at most limit of them, that are not yet as they shall be: those
 * after *after by primary key, or from the first when after is NULL.  The answer
 * is the length of *rows, which is palloc'd.  It never waits for a row.  Where Citus has
 * the rows, at most limit of them are locked on each node, and *after only says whether
 * a pass goes on.
 */
extern int	kv_rotation_rows_next(const KvRotationGoal *goal,
								  const KvRotationRow *after, int limit,
								  KvLocked locked, KvRotationRow **rows);

/*
 * Runs the policy on a row that is written, acting for its user: on what a statement
 * returned of it, or before it is written.  Errors: 42501.
 */
typedef struct KvRowCheck
{
	void		(*returned) (text *user_id, HeapTuple tuple, TupleDesc columns);
	void		(*in_slot) (text *user_id, KvPolicy *policy, Relation rel, TupleTableSlot *slot);
} KvRowCheck;

/*
 * Writes rows that are locked, all now sealed as they shall be, and checks each row
 * written.  Returns how many were.
 */
extern uint64 kv_rotation_rows_update(const KvRotationGoal *goal,
									  KvRotationRow **rows, int count,
									  const KvRowCheck *check);

/* What the view key_vault.rotation_progress shows. */
extern void kv_rotation_rows_started(const char *root_key_id, int64 total);
extern void kv_rotation_rows_progress(const char *root_key_id,
									  const KvRotationProgress *progress);
extern void kv_rotation_rows_finished(void);

#endif							/* KV_ROTATION_ROWS_H */
