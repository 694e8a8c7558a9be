/*
 * rotation.c
 *		Goes through the secrets along their primary key, batch by batch.
 *
 * A batch takes rows that nobody has locked, so that it never waits for a row while it
 * holds others.  What it passed over is taken in later passes, in the end one
 * row at a time.  A set() or delete() at the same time either waits for the
 * batch, or is waited for, and then the row is as it left it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/procedure.h"
#include "store/root_key_rows.h"
#include "store/rotation_rows.h"
#include "vault/identity/row_policy.h"
#include "vault/roots/keyring.h"
#include "vault/roots/rotation.h"
#include "vault/roots/sealing.h"

#define MAX_WARNINGS 1000		/* further ones are only counted */
#define SECONDS_BETWEEN_NOTICES 5

typedef struct Rotation
{
	int			batch_size;
	uint8		root_key_id[KV_ROOT_KEY_ID_LEN];	/* that sealed the last batch */
	char		root_key_hex[KV_ROOT_KEY_ID_HEX_LEN + 1];
	KvRotationProgress progress;
	HTAB	   *failed;			/* hashes of the names of what does not open */
	instr_time	started_at;
	instr_time	told_at;		/* when the last NOTICE was */

	KvRotationRow *after;		/* where the next batch starts; NULL: at the first row */
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
	kv_root_key_id_to_hex(rotation->root_key_id, rotation->root_key_hex);
}

static uint64
hash_of_name(const KvRotationRow *row)
{
	const text *parts[] = {row->name.user_id, row->name.provider, row->name.label};
	uint64		hash = (uint32) row->row.version;

	for (int i = 0; i < (int) lengthof(parts); i++)
		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(parts[i]),
								   VARSIZE_ANY_EXHDR(parts[i]), hash);
	return hash;
}

static bool
has_failed(Rotation *rotation, const KvRotationRow *row)
{
	uint64		hash = hash_of_name(row);

	return hash_search(rotation->failed, &hash, HASH_FIND, NULL) != NULL;
}

/* Tells of a secret that does not open. */
static void
note_failure(Rotation *rotation, const KvRotationRow *row, const char *reason)
{
	uint64		hash = hash_of_name(row);

	(void) hash_search(rotation->failed, &hash, HASH_ENTER, NULL);
	if (++rotation->progress.failed > MAX_WARNINGS)
		return;
	ereport(WARNING,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("secret of user \"%s\" for provider \"%s\", label \"%s\", version %d does not open and is left as it is",
					text_to_cstring(row->name.user_id), text_to_cstring(row->name.provider),
					kv_quotable_label(row->name.label), row->row.version),
			 errdetail("Reason: %s.", reason)));
	if (rotation->progress.failed == MAX_WARNINGS)
		ereport(WARNING,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("further secrets that do not open are counted only")));
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

/* The next batch starts behind this row. */
static void
remember_position(Rotation *rotation, const KvRotationRow *row)
{
	MemoryContext caller;

	MemoryContextReset(rotation->after_context);
	caller = MemoryContextSwitchTo(rotation->after_context);
	rotation->after = palloc0(sizeof(KvRotationRow));
	rotation->after->name.user_id = DatumGetTextPCopy(PointerGetDatum(row->name.user_id));
	rotation->after->name.provider = DatumGetTextPCopy(PointerGetDatum(row->name.provider));
	rotation->after->name.label = DatumGetTextPCopy(PointerGetDatum(row->name.label));
	rotation->after->row.version = row->row.version;
	MemoryContextSwitchTo(caller);
}

/* Re-seals the rows that open and writes them; how many that were. */
static int
reseal_rows(Rotation *rotation, KvRotationRow *rows, int count)
{
	KvRotationRow **opened = palloc(sizeof(KvRotationRow *) * count);
	int			opened_count = 0;
	uint8	   *nonces = kv_draw_nonces(count);

	for (int i = 0; i < count; i++)
	{
		const char *reason;

		CHECK_FOR_INTERRUPTS();
		if (has_failed(rotation, &rows[i]))
			continue;
		reason = kv_reseal(&rows[i].name, &rows[i].row, rotation->root_key_id,
						   nonces + (Size) i * KV_XAES_NONCE_LEN);
		if (reason == NULL)
			opened[opened_count++] = &rows[i];
		else
			note_failure(rotation, &rows[i], reason);
	}
	if (opened_count == 0)
		return 0;
	return (int) kv_rotation_rows_update(rotation->root_key_hex, opened, opened_count,
										 kv_row_policy_check_update);
}

/* One transaction.  False when there were no more rows. */
static bool
run_batch(Rotation *rotation, int limit, KvLocked locked)
{
	MemoryContext caller = MemoryContextSwitchTo(rotation->batch_context);
	KvRotationRow *rows;
	int			count;

	take_active_root_key(rotation);
	count = kv_rotation_rows_next(rotation->root_key_hex, rotation->after,
								  limit, locked, &rows);
	if (count > 0)
	{
		rotation->progress.done += reseal_rows(rotation, rows, count);
		kv_rotation_rows_progress(rotation->root_key_hex, &rotation->progress);
		remember_position(rotation, &rows[count - 1]);
	}
	kv_procedure_commit();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rotation->batch_context);
	tell_progress_now_and_then(rotation);
	return count == limit;
}

/* From the first row to the last; how many were re-sealed. */
static int64
run_pass(Rotation *rotation, int limit, KvLocked locked)
{
	int64		done_before = rotation->progress.done;

	rotation->after = NULL;
	while (run_batch(rotation, limit, locked))
		;
	return rotation->progress.done - done_before;
}

/* Of the secrets that the active root key did not seal, those not known to fail. */
static int64
count_not_failed(Rotation *rotation)
{
	int64		found = 0;
	int			count;

	rotation->after = NULL;
	do
	{
		KvRotationRow *rows;

		CHECK_FOR_INTERRUPTS();
		count = kv_rotation_rows_next(rotation->root_key_hex, rotation->after,
									  rotation->batch_size, KV_LOCKED_READ, &rows);
		for (int i = 0; i < count; i++)
			found += has_failed(rotation, &rows[i]) ? 0 : 1;
		if (count > 0)
			remember_position(rotation, &rows[count - 1]);
		MemoryContextReset(rotation->batch_context);
	} while (count == rotation->batch_size);
	return found;
}

/* How many secrets that open are not sealed with the active root key. */
static int64
count_remaining(Rotation *rotation)
{
	MemoryContext caller = MemoryContextSwitchTo(rotation->batch_context);
	int64		remaining;

	take_active_root_key(rotation);
	remaining = kv_rotation_rows_count(rotation->root_key_hex);
	if (remaining > 0 && rotation->progress.failed > 0)
		remaining = count_not_failed(rotation);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rotation->batch_context);
	return remaining;
}

/*
 * Passes until nothing remains, or one of them changes nothing; how many remain.
 * A pass misses a row that others have locked, and all that is behind it when another
 * root key becomes active.
 */
static int64
run_passes(Rotation *rotation)
{
	KvLocked	locked = KV_LOCKED_SKIP;
	int64		remaining;

	for (;;)
	{
		int			limit = locked == KV_LOCKED_SKIP ? rotation->batch_size : 1;
		int64		done = run_pass(rotation, limit, locked);

		remaining = count_remaining(rotation);
		if (remaining == 0 || (done == 0 && locked == KV_LOCKED_WAIT))
			return remaining;
		locked = done == 0 ? KV_LOCKED_WAIT : KV_LOCKED_SKIP;
	}
}

static void
start(Rotation *rotation, int batch_size)
{
	HASHCTL		control = {0};

	rotation->batch_size = batch_size;
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(uint64);
	control.hcxt = CurrentMemoryContext;
	rotation->failed = hash_create("key_vault secrets that do not open", 128, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	rotation->after_context = AllocSetContextCreate(CurrentMemoryContext,
													"key_vault rotation position",
													ALLOCSET_SMALL_SIZES);
	rotation->batch_context = AllocSetContextCreate(CurrentMemoryContext,
													"key_vault rotation batch",
													ALLOCSET_DEFAULT_SIZES);
	INSTR_TIME_SET_CURRENT(rotation->started_at);
	INSTR_TIME_SET_CURRENT(rotation->told_at);

	take_active_root_key(rotation);
	rotation->progress.total = kv_rotation_rows_count(rotation->root_key_hex);
	kv_rotation_rows_started(rotation->root_key_hex, rotation->progress.total);
	kv_procedure_commit();
}

static void
finish(Rotation *rotation, int64 remaining)
{
	kv_rotation_rows_finished();
	kv_procedure_commit();
	tell_progress(rotation);
	if (remaining > 0)
		ereport(WARNING,
				(errcode(KV_ERRCODE_STATE),
				 errmsg(INT64_FORMAT " secrets are still sealed with another root key", remaining),
				 errhint("A transaction or a trigger kept them from being re-sealed. Call key_vault.rotate_root_key() again.")));
}

void
kv_rotation_run(Oid procedure, int batch_size)
{
	Rotation	rotation = {0};

	PreventCommandIfReadOnly("key_vault.rotate_root_key()");
	kv_procedure_lock(procedure, "rotating the root key");
	kv_procedure_begin();

	/* What comes now is in a transaction with a snapshot of its own */
	kv_procedure_commit();
	start(&rotation, batch_size);
	finish(&rotation, run_passes(&rotation));

	kv_procedure_end();
	kv_procedure_unlock(procedure);
}
