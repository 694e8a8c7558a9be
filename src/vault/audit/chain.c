/*
 * chain.c
 *		The end of the chain, where the worker puts records.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/audit/chain.h"
#include "vault/audit/record.h"
#include "vault/roots/chain_key.h"

static KvAuditHead head;		/* committed */
static KvAuditHead next_head;	/* once the transaction commits */
static bool head_is_known;

static KvChainMac *mac;			/* the chain key of both */
static bytea *mac_sealed;		/* the row's bytes that it was opened from */

static void
forget_key(void)
{
	kv_chain_mac_free(mac);
	mac = NULL;
	if (mac_sealed != NULL)
		pfree(mac_sealed);
	mac_sealed = NULL;
}

static void
remember_key(KvChainMac *opened, const bytea *sealed)
{
	forget_key();
	mac = opened;
	mac_sealed = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(sealed));
	memcpy(mac_sealed, sealed, VARSIZE_ANY(sealed));
}

static bool
is_known_key(const KvAuditKeyRow *key)
{
	return mac != NULL && VARSIZE_ANY(key->sealed) == VARSIZE_ANY(mac_sealed) &&
		memcmp(key->sealed, mac_sealed, VARSIZE_ANY(mac_sealed)) == 0;
}

/* Whether two chain keys are the same one: they make the same code. */
static bool
is_same_key(KvChainMac *a, KvChainMac *b)
{
	uint8		hash_a[KV_AUDIT_HASH_BYTES];
	uint8		hash_b[KV_AUDIT_HASH_BYTES];

	kv_audit_user_hash(a, "", hash_a);
	kv_audit_user_hash(b, "", hash_b);
	return memcmp(hash_a, hash_b, sizeof(hash_a)) == 0;
}

/* The chain key that is stored, which a rotation may have sealed anew. */
static void
open_key(const KvAuditKeyRow *key)
{
	const char *why;
	KvChainMac *opened = kv_chain_key_open(key, &why);

	if (opened == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("the chain key of the audit does not open"),
				 errdetail("Reason: %s.", why),
				 errhint("Put its root key back into the keyring; or give up what it sealed, with key_vault.discard_secrets(): a new chain begins then.")));
	if (mac == NULL || !is_same_key(mac, opened))
		head_is_known = false;	/* another chain: a new extension, or a new key */
	remember_key(opened, key->sealed);
}

/* The chain key and the last record. */
static void
find_end(void)
{
	KvAuditKeyRow key;
	bool		found = kv_audit_key_last(&key) && key.sealed != NULL;
	KvChainMac *created;

	if (found && !is_known_key(&key))
		open_key(&key);
	if (!found || !head_is_known)
		kv_audit_rows_head(&head);
	head_is_known = true;
	if (found)
		return;

	created = kv_chain_key_create(head.number + 1, &key);
	remember_key(created, key.sealed);
}

void
kv_audit_chain_append(KvAuditRow *rows, const bool *without_user, int count)
{
	find_end();
	next_head = head;
	for (int i = 0; i < count; i++)
	{
		KvAuditRow *row = &rows[i];

		if (next_head.number == PG_INT64_MAX)
			ereport(ERROR,
					(errcode(KV_ERRCODE_STATE),
					 errmsg("numbers of audit records are used up"),
					 errhint("Look for a record that nobody but its writer knows: key_vault.verify_audit() names it.")));
		row->number = next_head.number + 1;
		row->has_user_hash = row->user_id != NULL;
		if (row->has_user_hash)
			kv_audit_user_hash(mac, row->user_id, row->user_hash);
		row->has_team_hash = row->team_id != NULL;
		if (row->has_team_hash)
			kv_audit_user_hash(mac, row->team_id, row->team_hash);
		if (without_user[i])
			row->user_id = NULL;
		kv_audit_record_mac(mac, next_head.mac, row, row->mac);
		next_head.number = row->number;
		next_head.at = row->at;
		memcpy(next_head.mac, row->mac, sizeof(next_head.mac));
	}
	kv_audit_rows_insert(rows, count);
}

void
kv_audit_chain_committed(void)
{
	head = next_head;
}

void
kv_audit_chain_lost(void)
{
	/* a chain key that this transaction made is gone with it */
	forget_key();
	head_is_known = false;
}

const KvAuditHead *
kv_audit_chain_head(void)
{
	return &head;
}
