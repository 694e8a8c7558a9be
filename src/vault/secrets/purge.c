/*
 * purge.c
 *		Tells what expires soon, and goes through what expired long ago, by name,
 *		batch by batch.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/settings.h"
#include "store/expiring_rows.h"
#include "store/locks.h"
#include "store/procedure.h"
#include "store/purge_rows.h"
#include "vault/identity/row_policy.h"
#include "vault/secrets/purge.h"

/* The last name of the batch before this one. */
typedef struct Position
{
	bool		is_set;
	KvSecretName name;
	MemoryContext context;
} Position;

static text *
copy_text(const text *value)
{
	return DatumGetTextPCopy(PointerGetDatum(value));
}

static void
remember(Position *position, const KvSecretName *name)
{
	MemoryContext caller;

	MemoryContextReset(position->context);
	caller = MemoryContextSwitchTo(position->context);
	position->name.user_id = copy_text(name->user_id);
	position->name.provider = copy_text(name->provider);
	position->name.label = copy_text(name->label);
	position->is_set = true;
	MemoryContextSwitchTo(caller);
}

/* One transaction; how many were removed.  *more is false after the last names. */
static uint64
run_batch(TimestampTz expired_before, int batch_size, Position *position, bool *more)
{
	KvSecretName *names;
	uint64		removed = 0;
	int			count;

	kv_secret_rows_lock_for_write();
	count = kv_purge_rows_next(expired_before, position->is_set ? &position->name : NULL,
							   batch_size, &names);
	if (count > 0)
	{
		removed = kv_purge_rows_delete(expired_before, names, count,
									   kv_row_policy_check_delete);
		remember(position, &names[count - 1]);
	}
	kv_procedure_commit();
	*more = count == batch_size;
	return removed;
}

static uint64
run_batches(TimestampTz expired_before, int batch_size)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "key_vault purge batch",
												ALLOCSET_DEFAULT_SIZES);
	Position	position = {0};
	uint64		removed = 0;
	bool		more = true;

	position.context = AllocSetContextCreate(caller, "key_vault purge position",
											 ALLOCSET_SMALL_SIZES);
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch);
		removed += run_batch(expired_before, batch_size, &position, &more);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(batch);
	}
	return removed;
}

void
kv_purge_run(int batch_size)
{
	TimestampTz expired_before;
	uint64		removed;

	PreventCommandIfReadOnly("key_vault.purge()");
	if (kv_setting_purge_after < 0)
	{
		ereport(NOTICE,
				(errmsg("nothing is purged"),
				 errdetail("The setting key_vault.purge_after is -1.")));
		return;
	}
	expired_before = GetCurrentTimestamp() -
		(TimestampTz) kv_setting_purge_after * SECS_PER_MINUTE * USECS_PER_SEC;

	kv_lock_for_session(KV_LOCK_PURGE, "purging");
	kv_procedure_begin();
	/* What comes now is in a transaction with a snapshot of its own */
	kv_procedure_commit();
	removed = run_batches(expired_before, batch_size);
	kv_procedure_end();
	kv_unlock_for_session(KV_LOCK_PURGE);

	ereport(NOTICE,
			(errmsg("removed " UINT64_FORMAT " secrets", removed),
			 errdetail("They had expired before %s.", timestamptz_to_str(expired_before))));
}

void
kv_purge_report_expiring(const Interval *within, Tuplestorestate *result)
{
	kv_expiring_rows_report(within, result);
}
