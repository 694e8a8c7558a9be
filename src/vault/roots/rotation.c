/*
 * rotation.c
 *		Goes through the secrets along their primary key, batch by batch.
 *
 * A batch takes rows that nobody has locked, and never waits for one.  What it passed
 * over is taken in later passes, when others have let go of it, for which a rotation
 * waits a few seconds in all: a session can keep a row locked for as long as
 * it likes.  A set() or delete() at the same time either waits for the batch, or
 * is let pass, and then the row is as it left it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/nap.h"
#include "server/settings.h"
#include "store/locks.h"
#include "store/procedure.h"
#include "store/root_key_rows.h"
#include "store/rotation_rows.h"
#include "store/row_holders.h"
#include "vault/identity/row_policy.h"
#include "vault/roots/chain_key.h"
#include "vault/roots/keyring.h"
#include "vault/roots/message_keys.h"
#include "vault/roots/opening_many.h"
#include "vault/roots/records.h"
#include "vault/roots/rotation.h"
#include "vault/roots/sealing.h"
#include "vault/roots/unopened.h"

#define SECONDS_BETWEEN_NOTICES 5
#define SECONDS_FOR_LOCKED_ROWS 10
#define NAP_MS 100

/*
 * Bytes that stay from one batch to the next: to give them back to the system and get them
 * anew, page by page, costs as much as to derive the keys.
 */
#define BATCH_MEMORY (1024 * 1024)

typedef struct Rotation
{
	int			batch_size;
	uint8		root_key_id[KV_ROOT_KEY_ID_LEN];	/* that sealed the last batch */
	KvRotationGoal goal;
	KvRotationProgress progress;
	KvUnopened *unopened;
	instr_time	started_at;
	instr_time	told_at;		/* when the last NOTICE was */

	double		stalled;		/* seconds in which others kept all that remained */
	KvRowHolders holders;		/* at the end of the last pass in vain */
	bool		held_by_nobody;	/* what remained then */

	const KvRotationRow *after; /* behind which the next batch starts; NULL: at the first row */
	MemoryContext after_context;
	MemoryContext batch_context;
} Rotation;

/*
 * The root key to seal with until the transaction ends: retiring it waits for the lock
 * that is taken first.  Another one may have been activated since the last batch.
 */
static void
take_active_root_key(Rotation *rotation)
{
	kv_secret_rows_lock_for_write();
	if (!kv_root_key_row_active(rotation->root_key_id))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("no root key is active in this database"),
				 errhint("Create one with key_vault.create_root_key(), or activate one of the keyring with key_vault.activate_root_key().")));
	(void) kv_keyring_require(rotation->root_key_id);
	kv_root_key_id_to_hex(rotation->root_key_id, rotation->goal.root_key_id);
}

static double
seconds_since(instr_time then)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, then);
	return INSTR_TIME_GET_DOUBLE(now);
}

static void
tell_progress(const Rotation *rotation)
{
	const KvRotationProgress *progress = &rotation->progress;

	ereport(NOTICE,
			(errmsg("re-sealed " INT64_FORMAT " of " INT64_FORMAT " secrets",
					progress->done, progress->total),
			 errdetail("%.0f a second; " INT64_FORMAT " remain, " INT64_FORMAT " do not open.",
					   progress->done / Max(seconds_since(rotation->started_at), 0.001),
					   Max(progress->total - progress->done - progress->failed, 0),
					   progress->failed)));
}

static void
tell_progress_now_and_then(Rotation *rotation)
{
	if (seconds_since(rotation->told_at) < SECONDS_BETWEEN_NOTICES)
		return;
	tell_progress(rotation);
	INSTR_TIME_SET_CURRENT(rotation->told_at);
}

static const KvRowCheck check_policy = {
	.returned = kv_row_policy_check_update,
	.in_slot = kv_row_policy_check_slot
};

/* Re-seals the rows that open and writes them; how many that were. */
static int
reseal_rows(Rotation *rotation, KvRotationRow *rows, int count)
{
	KvRotationRow **opened = palloc(sizeof(KvRotationRow *) * count);
	int			opened_count = 0;
	KvMessageKeys *keys = kv_message_keys(rotation->batch_context);

	for (int i = 0; i < count; i++)
	{
		const char *reason;
		int			place = i % KV_MESSAGE_KEYS_MAX;

		CHECK_FOR_INTERRUPTS();
		if (place == 0)
			kv_message_keys_derive(keys, &rows[i], Min(count - i, KV_MESSAGE_KEYS_MAX),
								   rotation->root_key_id);
		if (kv_unopened_contains(rotation->unopened, &rows[i]))
			continue;
		reason = kv_reseal(&rows[i].name, &rows[i].row,
						   rotation->goal.without_hint ? NULL : rows[i].row.hint,
						   rotation->root_key_id,
						   keys->is_old_key[place] ? &keys->old_keys[place] : NULL,
						   &keys->new_keys[place]);
		if (reason == NULL)
		{
			opened[opened_count++] = &rows[i];
			continue;
		}
		kv_unopened_add(rotation->unopened, &rows[i], reason);
		rotation->progress.failed++;
	}
	if (opened_count == 0)
		return 0;
	return (int) kv_rotation_rows_update(&rotation->goal, opened, opened_count,
										 &check_policy);
}

/* One transaction.  False when there were no more rows. */
static bool
run_batch(Rotation *rotation)
{
	MemoryContext caller = MemoryContextSwitchTo(rotation->batch_context);
	KvRotationRow *rows;
	int			count;

	take_active_root_key(rotation);
	(void) kv_doing_many(rotation->batch_context);
	count = kv_rotation_rows_next(&rotation->goal, rotation->after,
								  rotation->batch_size, KV_LOCKED_SKIP, &rows);
	if (count > 0)
	{
		rotation->progress.done += reseal_rows(rotation, rows, count);
		kv_rotation_rows_progress(rotation->goal.root_key_id, &rotation->progress);
		rotation->after = kv_rotation_row_position(&rows[count - 1], rotation->after_context);
	}
	kv_procedure_commit();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rotation->batch_context);
	tell_progress_now_and_then(rotation);
	return count > 0;
}

/* From the first row to the last; how many were re-sealed. */
static int64
run_pass(Rotation *rotation)
{
	int64		done_before = rotation->progress.done;

	rotation->after = NULL;
	while (run_batch(rotation))
		;
	return rotation->progress.done - done_before;
}

/*
 * Calls visit for each row that is not as it shall be, without those known to fail, and
 * returns how many these are.
 */
static int64
visit_remaining(Rotation *rotation, void (*visit) (Rotation *rotation, KvRotationRow *row))
{
	int64		found = 0;
	int			count;

	rotation->after = NULL;
	do
	{
		KvRotationRow *rows;

		CHECK_FOR_INTERRUPTS();
		count = kv_rotation_rows_next(&rotation->goal, rotation->after,
									  rotation->batch_size, KV_LOCKED_READ, &rows);
		for (int i = 0; i < count; i++)
		{
			if (kv_unopened_contains(rotation->unopened, &rows[i]))
				continue;
			visit(rotation, &rows[i]);
			found++;
		}
		if (count > 0)
			rotation->after = kv_rotation_row_position(&rows[count - 1], rotation->after_context);
		MemoryContextReset(rotation->batch_context);
	} while (count == rotation->batch_size);
	return found;
}

static void
note_holders(Rotation *rotation, KvRotationRow *row)
{
	kv_row_holders_add(&rotation->holders, row->table, &row->place);
}

/*
 * How many rows remain that open, after a pass that re-sealed so many.  When those were
 * none, also who keeps them.
 */
static int64
count_remaining(Rotation *rotation, int64 done)
{
	MemoryContext caller = MemoryContextSwitchTo(rotation->batch_context);
	int64		remaining;

	/* another root key may have become active */
	take_active_root_key(rotation);
	kv_chain_keys_reseal(rotation->root_key_id);
	remaining = kv_rotation_rows_count(&rotation->goal);
	memset(&rotation->holders, 0, sizeof(rotation->holders));
	if (remaining > 0 && (done == 0 || rotation->progress.failed > 0))
		remaining = visit_remaining(rotation, note_holders);
	kv_procedure_commit();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rotation->batch_context);
	return remaining;
}

/*
 * After a pass in vain, which began then: waits until one of those who keep the rows
 * ends.  False when another pass is not worth it.
 */
static bool
wait_for_holders(Rotation *rotation, instr_time began)
{
	double		stalled_before = rotation->stalled;
	bool		held_by_nobody = rotation->holders.count == 0;

	/* They may have ended just now; or a trigger leaves the rows out. */
	if (held_by_nobody && rotation->held_by_nobody)
		return false;
	rotation->held_by_nobody = held_by_nobody;

	do
	{
		rotation->stalled = stalled_before + seconds_since(began);
		if (rotation->stalled >= SECONDS_FOR_LOCKED_ROWS)
			return false;
		kv_nap(NAP_MS);
	} while (rotation->holders.count > 0 && kv_row_holders_go_on(&rotation->holders));
	return true;
}

/*
 * Passes until nothing remains, or nothing can be done; how many remain.  A pass misses
 * a row that others have locked, and all that is behind it when another root key
 * becomes active.
 */
static int64
run_passes(Rotation *rotation)
{
	for (;;)
	{
		instr_time	began;
		int64		done;
		int64		remaining;

		INSTR_TIME_SET_CURRENT(began);
		done = run_pass(rotation);
		remaining = count_remaining(rotation, done);
		if (done > 0)
			rotation->held_by_nobody = false;
		if (remaining == 0 ||
			(done == 0 && !wait_for_holders(rotation, began)))
			return remaining;
	}
}

static void
start(Rotation *rotation, int batch_size)
{
	rotation->batch_size = batch_size;
	rotation->goal.without_hint = kv_setting_hint == KV_HINT_NONE;
	rotation->unopened = kv_unopened_create();
	rotation->after_context = AllocSetContextCreate(CurrentMemoryContext,
													"key_vault rotation position",
													ALLOCSET_SMALL_SIZES);
	rotation->batch_context = AllocSetContextCreate(CurrentMemoryContext,
													"key_vault rotation batch",
													BATCH_MEMORY, BATCH_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	INSTR_TIME_SET_CURRENT(rotation->started_at);
	INSTR_TIME_SET_CURRENT(rotation->told_at);

	/* Nothing is sealed anew with what the keyring has lost */
	kv_keyring_freshen();
	take_active_root_key(rotation);
	rotation->progress.total = kv_rotation_rows_count(&rotation->goal);
	kv_rotation_rows_started(rotation->goal.root_key_id, rotation->progress.total);
	kv_procedure_commit();
}

static void
warn_of_remaining(const Rotation *rotation, int64 remaining)
{
	char	   *holders = kv_row_holders_names(&rotation->holders);

	ereport(WARNING,
			(errcode(KV_ERRCODE_STATE),
			 errmsg(INT64_FORMAT " secrets are still to be re-sealed", remaining),
			 holders[0] != '\0' ?
			 errdetail("Others keep them locked: %s.", holders) :
			 errdetail("A trigger or a transaction kept them from being re-sealed."),
			 errhint("Call key_vault.rotate_root_key() again when it can go on. pg_terminate_backend() ends a session.")));
}

/* What is no secret goes last, in one transaction: there are few.  How many are left. */
static int64
reseal_records(Rotation *rotation)
{
	int64		left;

	take_active_root_key(rotation);
	left = kv_records_reseal(rotation->root_key_id);
	kv_procedure_commit();
	return left;
}

/* Unless all is done the rotation counts as interrupted. */
static void
finish(Rotation *rotation, int64 remaining)
{
	if (remaining == 0)
		kv_rotation_rows_finished();
	kv_procedure_commit();
	tell_progress(rotation);
	if (remaining > 0)
		warn_of_remaining(rotation, remaining);
}

void
kv_rotation_run(int batch_size)
{
	Rotation	rotation = {0};
	int64		remaining;

	PreventCommandIfReadOnly("key_vault.rotate_root_key()");
	kv_lock_for_session(KV_LOCK_ROTATION, "rotating the root key");
	kv_procedure_begin();

	/* What comes now is in a transaction with a snapshot of its own */
	kv_procedure_commit();
	start(&rotation, batch_size);
	remaining = run_passes(&rotation);
	finish(&rotation, remaining + reseal_records(&rotation));

	kv_procedure_end();
	kv_unlock_for_session(KV_LOCK_ROTATION);
}
