/*
 * worker.c
 *		The background worker that writes one database's records.
 *
 * What it cannot write stays where it is, and is tried again; who waits for it is told why.
 * When it is told to stop it goes on until the last backend has gone that may still leave a
 * record.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "server/audit_ring.h"
#include "server/background.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "vault/audit/chain.h"
#include "vault/audit/record.h"
#include "vault/audit/worker.h"

#define LOOK_MS 200				/* async: a record is on disk well within a second */
#define STOP_LOOK_MS 20
#define IDLE_MS 2000
#define BATCH_BYTES (512 * 1024)
#define HEAD_EVERY_MS (60 * 60 * 1000)
#define PROBLEM_EVERY_MS 60000	/* the same one is logged as often */

static char database_name[NAMEDATALEN];

/* The records in the bytes; how many. */
static int
unpack(char *bytes, Size len, KvAuditRow **rows, bool **without_user)
{
	int			count = 0;
	int			room = 64;

	*rows = palloc(sizeof(KvAuditRow) * room);
	*without_user = palloc(sizeof(bool) * room);
	for (Size at = 0; at < len; count++)
	{
		uint32		entry_len;

		if (count == room)
		{
			room *= 2;
			*rows = repalloc(*rows, sizeof(KvAuditRow) * room);
			*without_user = repalloc(*without_user, sizeof(bool) * room);
		}
		memcpy(&entry_len, bytes + at, sizeof(entry_len));
		at += sizeof(entry_len);
		kv_audit_record_unpack(bytes + at, &(*rows)[count], &(*without_user)[count]);
		at += entry_len;
	}
	return count;
}

/* One transaction, and nothing can come between its end and what is said of it. */
static void
write_rows(KvAuditRow *rows, const bool *without_user, int count, uint64 end)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "writing audit records");
	if (OidIsValid(get_extension_oid("key_vault", true)))
		kv_audit_chain_append(rows, without_user, count);
	else
		ereport(LOG,
				(errmsg("%d audit records are dropped with the extension", count)));
	if (database_name[0] == '\0')
		strlcpy(database_name, get_database_name(MyDatabaseId), sizeof(database_name));
	PopActiveSnapshot();

	HOLD_INTERRUPTS();
	CommitTransactionCommand();
	kv_audit_chain_committed();
	kv_audit_ring_written(end);
	RESUME_INTERRUPTS();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Tells those who wait, and the log, the same thing once a minute. */
static void
tell_problem(const ErrorData *error)
{
	static char last[256];
	static TimestampTz told_at;
	char	   *problem = psprintf("The worker could not write: %s", error->message);

	kv_audit_ring_tell_problem(problem);
	if (strncmp(problem, last, sizeof(last) - 1) == 0 &&
		!TimestampDifferenceExceeds(told_at, GetCurrentTimestamp(), PROBLEM_EVERY_MS))
		return;
	strlcpy(last, problem, sizeof(last));
	told_at = GetCurrentTimestamp();
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("could not write audit records: %s", error->message),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 error->hint != NULL ? errhint("%s", error->hint) : 0));
}

/* False when there was nothing to write, or it could not be written. */
static bool
write_batch(MemoryContext context)
{
	Size		len;
	uint64		end;
	char	   *bytes;
	volatile bool written = false;
	MemoryContext caller = MemoryContextSwitchTo(context);

	bytes = kv_audit_ring_read(BATCH_BYTES, &len, &end);
	PG_TRY();
	{
		if (len > 0)
		{
			KvAuditRow *rows;
			bool	   *without_user;
			int			count = unpack(bytes, len, &rows, &without_user);

			write_rows(rows, without_user, count, end);
			written = true;
		}
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		kv_audit_chain_lost();
		tell_problem(error);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(context);
	return written;
}

/* For keeping elsewhere: whoever removes records at the end cannot remove it there. */
static void
tell_head_now_and_then(void)
{
	TimestampTz now = GetCurrentTimestamp();
	const KvAuditHead *head = kv_audit_chain_head();
	char		hex[2 * KV_AUDIT_MAC_BYTES + 1];
	static const char digits[] = "0123456789abcdef";

	if (!TimestampDifferenceExceeds(kv_audit_ring_head_told_at(), now, HEAD_EVERY_MS))
		return;
	for (int i = 0; i < KV_AUDIT_MAC_BYTES; i++)
	{
		hex[2 * i] = digits[head->mac[i] >> 4];
		hex[2 * i + 1] = digits[head->mac[i] & 15];
	}
	hex[2 * KV_AUDIT_MAC_BYTES] = '\0';
	kv_audit_ring_head_told(now);
	ereport(LOG,
			(errmsg("key_vault audit head: database \"%s\", record " INT64_FORMAT ", code %s",
					database_name, head->number, hex)));
}

/* At a stop, when what was left could not be written for as long as anybody would wait. */
static void
give_up(uint64 backlog)
{
	ereport(LOG,
			(errcode(KV_ERRCODE_AUDIT),
			 errmsg("audit records of " UINT64_FORMAT " bytes were lost at the stop", backlog),
			 errdetail("They could not be written for %d ms.", kv_setting_audit_timeout)));
	proc_exit(0);
}

static void
work(MemoryContext context)
{
	TimestampTz busy_at = GetCurrentTimestamp();

	for (;;)
	{
		bool		attached;
		uint64		backlog;
		bool		written;

		kv_background_heed();
		written = write_batch(context);
		if (written)
		{
			busy_at = GetCurrentTimestamp();
			tell_head_now_and_then();
		}
		/* Each batch costs a flush of the disk: what nobody waits for is let grow.  Who waits,
		 * or finds the ring half full, sets the latch, and ends the nap before it begins. */
		if (!written &&
			(kv_background_stop_requested ||
			 TimestampDifferenceExceeds(busy_at, GetCurrentTimestamp(), IDLE_MS)) &&
			kv_audit_ring_may_leave(kv_background_stop_requested))
			proc_exit(0);
		backlog = kv_audit_ring_backlog(&attached);
		if (kv_background_stop_requested && !attached && backlog > 0 &&
			TimestampDifferenceExceeds(busy_at, GetCurrentTimestamp(), kv_setting_audit_timeout))
			give_up(backlog);
		kv_audit_ring_nap(kv_background_stop_requested ? STOP_LOOK_MS : LOOK_MS);
	}
}

void
kv_audit_worker_main(Datum database)
{
	kv_background_connect(DatumGetObjectId(database));
	if (!kv_audit_ring_serve())
		proc_exit(0);
	work(AllocSetContextCreate(TopMemoryContext, "key_vault audit batch", ALLOCSET_DEFAULT_SIZES));
}
