/*
 * purge.c
 *		Tells what expires soon, and goes through what expired long ago, the oldest
 *		first, batch by batch.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/errors.h"
#include "server/settings.h"
#include "store/expiring_rows.h"
#include "store/locks.h"
#include "store/procedure.h"
#include "store/purge_rows.h"
#include "vault/identity/row_policy.h"
#include "vault/secrets/purge.h"
#include "vault/tokens/revocations.h"

/* The last one of the batch before this one. */
typedef struct Position
{
	bool		is_set;
	KvExpired	last;
	MemoryContext context;
} Position;

static text *
copy_text(const text *value)
{
	return DatumGetTextPCopy(PointerGetDatum(value));
}

static void
remember(Position *position, const KvExpired *last)
{
	MemoryContext caller;

	MemoryContextReset(position->context);
	caller = MemoryContextSwitchTo(position->context);
	position->last.expires_at = last->expires_at;
	position->last.name.user_id = copy_text(last->name.user_id);
	position->last.name.provider = copy_text(last->name.provider);
	position->last.name.label = copy_text(last->name.label);
	position->is_set = true;
	MemoryContextSwitchTo(caller);
}

typedef struct Purge
{
	TimestampTz expired_before;
	int			batch_size;
	Position	position;
	uint64		removed;		/* versions */
	int64		left;			/* secrets */
	KvRowHolders holders;		/* who keeps them */
} Purge;

/* One transaction.  False after the last ones. */
static bool
run_batch(Purge *purge)
{
	Position   *position = &purge->position;
	KvExpired  *expired;
	int			count;

	kv_secret_rows_lock_for_write();
	count = kv_purge_rows_next(purge->expired_before,
							   position->is_set ? &position->last : NULL,
							   purge->batch_size, &expired);
	if (count > 0)
	{
		purge->removed += kv_purge_rows_delete(purge->expired_before, expired, count,
											   kv_row_policy_check_delete);
		purge->left += kv_purge_rows_left(purge->expired_before, expired, count,
										  &purge->holders);
		remember(position, &expired[count - 1]);
	}
	kv_procedure_commit();
	return count == purge->batch_size;
}

static void
run_batches(Purge *purge)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "key_vault purge batch",
												ALLOCSET_DEFAULT_SIZES);
	bool		more = true;

	purge->position.context = AllocSetContextCreate(caller, "key_vault purge position",
													ALLOCSET_SMALL_SIZES);
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch);
		more = run_batch(purge);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(batch);
	}
}

static void
tell(const Purge *purge)
{
	char	   *holders = kv_row_holders_names(&purge->holders);

	ereport(NOTICE,
			(errmsg("removed " UINT64_FORMAT " secrets", purge->removed),
			 errdetail("They had expired before %s.", timestamptz_to_str(purge->expired_before))));
	if (purge->left > 0)
		ereport(WARNING,
				(errcode(KV_ERRCODE_STATE),
				 errmsg(INT64_FORMAT " secrets that had expired are not removed", purge->left),
				 holders[0] != '\0' ?
				 errdetail("Others keep them locked: %s.", holders) :
				 errdetail("A trigger or a transaction kept them from being removed."),
				 errhint("Call key_vault.purge() again when it can go on. pg_terminate_backend() ends a session.")));
}

/* They are few, and whether to keep secrets has no part in it. */
static void
purge_revocations(void)
{
	uint64		removed = kv_revocations_purge();

	if (removed > 0)
		ereport(NOTICE,
				(errmsg("removed " UINT64_FORMAT " revocations of tokens", removed),
				 errdetail("All tokens that they were about have expired.")));
}

void
kv_purge_run(int batch_size)
{
	Purge		purge = {.batch_size = batch_size};

	PreventCommandIfReadOnly("key_vault.purge()");
	purge_revocations();
	if (kv_setting_purge_after < 0)
	{
		ereport(NOTICE,
				(errmsg("nothing is purged"),
				 errdetail("The setting key_vault.purge_after is -1.")));
		return;
	}
	purge.expired_before = GetCurrentTimestamp() -
		(TimestampTz) kv_setting_purge_after * SECS_PER_MINUTE * USECS_PER_SEC;

	kv_lock_for_session(KV_LOCK_PURGE, "purging");
	kv_procedure_begin();
	/* What comes now is in a transaction with a snapshot of its own */
	kv_procedure_commit();
	run_batches(&purge);
	tell(&purge);
	kv_procedure_end();
	kv_unlock_for_session(KV_LOCK_PURGE);
}

void
kv_purge_report_expiring(const Interval *within, Tuplestorestate *result)
{
	kv_expiring_rows_report(within, result);
}
