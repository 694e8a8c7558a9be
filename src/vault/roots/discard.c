/*
 * discard.c
 *		Goes through what a lost root key sealed, by name, batch by batch.
 *
 * "Lost" is a keyring that was read a moment ago and lacks the root key.  One that
 * cannot be read tells nothing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "server/errors.h"
#include "store/audit_rows.h"
#include "store/discard_rows.h"
#include "store/locks.h"
#include "store/procedure.h"
#include "store/record_rows.h"
#include "store/revocation_rows.h"
#include "store/root_key_rows.h"
#include "vault/identity/row_policy.h"
#include "vault/roots/discard.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/root_key_id.h"

typedef struct Discard
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];
	int			batch_size;
	uint64		removed;		/* versions */
	int64		left;			/* of them */
	KvRowHolders holders;		/* who keeps them */

	KvSecretName *after;		/* where the next batch starts; NULL: at the first name */
	MemoryContext after_context;
	MemoryContext batch_context;
} Discard;

/* Reads the keyring: nothing is removed on a guess. */
static void
check_is_lost(const Discard *discard)
{
	kv_keyring_reload();
	if (kv_ring_find(kv_keyring_in_memory(), discard->id) == NULL)
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("root key %s is in the keyring", discard->hex),
			 errdetail("%s", kv_keyring_source_detail(kv_keyring_source())),
			 errhint("What it sealed opens. To seal that with another root key: CALL key_vault.rotate_root_key().")));
}

static void
check_is_known(const Discard *discard)
{
	if (kv_root_key_row_registered(discard->id) || kv_discard_rows_count(discard->hex) > 0)
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_UNKNOWN),
			 errmsg("this database has no root key %s", discard->hex),
			 errhint("The view key_vault.root_keys lists the ids.")));
}

static text *
copy_text(const text *value)
{
	return DatumGetTextPCopy(PointerGetDatum(value));
}

/* The next batch starts behind this name. */
static void
remember_position(Discard *discard, const KvSecretName *name)
{
	MemoryContext caller;

	MemoryContextReset(discard->after_context);
	caller = MemoryContextSwitchTo(discard->after_context);
	discard->after = palloc(sizeof(KvSecretName));
	discard->after->user_id = copy_text(name->user_id);
	discard->after->provider = copy_text(name->provider);
	discard->after->label = copy_text(name->label);
	MemoryContextSwitchTo(caller);
}

/* One transaction.  False after the last names. */
static bool
run_batch(Discard *discard)
{
	MemoryContext caller = MemoryContextSwitchTo(discard->batch_context);
	KvSecretName *names;
	int			count;

	check_is_lost(discard);
	kv_secret_rows_lock_for_write();
	count = kv_discard_rows_next(discard->hex, discard->after, discard->batch_size, &names);
	if (count > 0)
	{
		discard->removed += kv_discard_rows_delete(discard->hex, names, count,
												   kv_row_policy_check_delete);
		discard->left += kv_discard_rows_left(discard->hex, names, count,
											  &discard->holders);
		remember_position(discard, &names[count - 1]);
	}
	kv_procedure_commit();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(discard->batch_context);
	return count == discard->batch_size;
}

/*
 * What is no secret goes last: issuers, and the key by which revoked users are known.
 * Without it their rows say nothing, and keep issuers from being trusted again.
 */
static void
discard_records(const Discard *discard)
{
	uint64		removed;

	check_is_lost(discard);
	kv_secret_rows_lock_for_write();
	removed = kv_record_rows_delete_sealed_with(discard->hex);
	if (removed > 0 && kv_record_rows_read(KV_RECORD_HASH_KEY) == NIL)
		(void) kv_revocation_rows_delete();
	kv_procedure_commit();
	if (removed > 0)
		ereport(NOTICE,
				(errmsg("removed the issuers of tokens that root key %s had sealed", discard->hex),
				 errhint("Trust them again with key_vault.trust_issuer(). Tokens that were revoked, and have not expired, are accepted again then.")));
}

/* The audit goes on under a new one; what was chained with it is there, but proves nothing. */
static void
discard_chain_keys(const Discard *discard)
{
	uint64		count;

	check_is_lost(discard);
	count = kv_audit_keys_discard(discard->hex);
	kv_procedure_commit();
	if (count > 0)
		ereport(WARNING,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("audit records from before now can no longer be verified"),
				 errdetail("Root key %s had sealed their chain key.", discard->hex)));
}

static void
tell(const Discard *discard)
{
	char	   *holders = kv_row_holders_names(&discard->holders);

	ereport(NOTICE,
			(errmsg_plural("removed %llu secret", "removed %llu secrets",
						   (unsigned long) discard->removed, (unsigned long long) discard->removed),
			 errdetail("Root key %s had sealed them, or a newer version of them.", discard->hex)));
	if (discard->left > 0)
		ereport(WARNING,
				(errcode(KV_ERRCODE_STATE),
				 errmsg_plural("%lld secret that root key %s sealed is not removed",
							   "%lld secrets that root key %s sealed are not removed",
							   (unsigned long) discard->left, (long long) discard->left, discard->hex),
				 holders[0] != '\0' ?
				 errdetail("Others keep them locked: %s.", holders) :
				 errdetail("A trigger or a transaction kept them from being removed."),
				 errhint("Call key_vault.discard_secrets() again when it can go on. pg_terminate_backend() ends a session.")));
}

void
kv_discard_run(const text *id, int batch_size)
{
	Discard		discard = {.batch_size = batch_size};

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to discard secrets")));
	PreventCommandIfReadOnly("key_vault.discard_secrets()");
	kv_root_key_id_from_text(id, discard.id);
	kv_root_key_id_to_hex(discard.id, discard.hex);
	check_is_lost(&discard);
	check_is_known(&discard);

	kv_lock_for_session(KV_LOCK_DISCARD, "discarding secrets");
	kv_procedure_begin();
	/* What comes now is in a transaction with a snapshot of its own */
	kv_procedure_commit();

	discard.after_context = AllocSetContextCreate(CurrentMemoryContext,
												  "key_vault discard position",
												  ALLOCSET_SMALL_SIZES);
	discard.batch_context = AllocSetContextCreate(CurrentMemoryContext,
												  "key_vault discard batch",
												  ALLOCSET_DEFAULT_SIZES);
	while (run_batch(&discard))
		CHECK_FOR_INTERRUPTS();
	discard_records(&discard);
	discard_chain_keys(&discard);
	tell(&discard);
	kv_procedure_end();
	kv_unlock_for_session(KV_LOCK_DISCARD);
}
