/*
 * upkeep.c
 *		What is taken out of the audit: users who are to be forgotten, and old records.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/audit_ring.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/locks.h"
#include "store/procedure.h"
#include "vault/audit/record.h"
#include "vault/audit/upkeep.h"
#include "vault/roots/chain_key.h"

void
kv_audit_forget(text *user_id)
{
	if (!RecoveryInProgress())
		kv_audit_ring_settle(KV_AUDIT_WAIT_WRITTEN, kv_setting_audit_timeout);
	kv_audit_rows_forget(user_id);
}

/* The chain key of a record.  Errors: XX001 when it does not open. */
static KvChainMac *
key_of(int64 number)
{
	KvAuditKeyRow *keys;
	int			count = kv_audit_keys_read(&keys);
	const KvAuditKeyRow *key = NULL;
	const char *why = "there is none";
	KvChainMac *mac = NULL;

	for (int i = 0; i < count && keys[i].first_number <= number; i++)
		key = &keys[i];
	if (key != NULL && key->sealed != NULL)
		mac = kv_chain_key_open(key, &why);
	if (mac == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("the chain key of audit record " INT64_FORMAT " does not open", number),
				 errdetail("Reason: %s.", why)));
	return mac;
}

static void
seal(KvAuditCheckpoint *checkpoint)
{
	KvChainMac *mac = key_of(checkpoint->number);

	PG_TRY();
	{
		kv_audit_checkpoint_seal(mac, checkpoint, checkpoint->seal);
	}
	PG_FINALLY();
	{
		kv_chain_mac_free(mac);
	}
	PG_END_TRY();
}

/* One transaction; how many records it removed. */
static int
run_batch(TimestampTz before, int batch_size)
{
	KvAuditHead last;
	KvAuditCheckpoint checkpoint = {0};
	int			count = kv_audit_rows_outdated(before, batch_size, &last);

	if (count > 0)
	{
		checkpoint.number = last.number;
		checkpoint.at = last.at;
		memcpy(checkpoint.mac, last.mac, sizeof(checkpoint.mac));
		seal(&checkpoint);
		kv_audit_rows_remove(&checkpoint);
	}
	kv_procedure_commit();
	return count;
}

void
kv_audit_purge(int batch_size)
{
	TimestampTz before = GetCurrentTimestamp() -
		(TimestampTz) kv_setting_audit_keep * SECS_PER_MINUTE * USECS_PER_SEC;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch;
	uint64		removed = 0;
	int			count;

	if (kv_setting_audit_keep < 0)
		return;
	kv_lock_for_session(KV_LOCK_PURGE, "purging");
	kv_procedure_begin();
	kv_procedure_commit();
	batch = AllocSetContextCreate(caller, "key_vault audit purge", ALLOCSET_DEFAULT_SIZES);
	do
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch);
		count = run_batch(before, batch_size);
		removed += count;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(batch);
	} while (count == batch_size);
	kv_procedure_end();
	kv_unlock_for_session(KV_LOCK_PURGE);
	if (removed > 0)
		ereport(NOTICE,
				(errmsg("removed " UINT64_FORMAT " audit records", removed),
				 errdetail("They were from before %s.", timestamptz_to_str(before))));
}
