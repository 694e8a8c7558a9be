/*
 * verify.c
 *		Goes along the chain, batch by batch, and says where it is broken.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/audit/record.h"
#include "vault/audit/verify.h"
#include "vault/identity/identity.h"
#include "vault/roots/chain_key.h"

#define BATCH 1000

/* A chain key, opened when a record needs it; freed with the call's memory. */
typedef struct Key
{
	KvAuditKeyRow row;
	KvChainMac *mac;
	MemoryContextCallback at_end;
} Key;

typedef struct Verification
{
	Key		   *keys;
	int			key_count;
	int64		last;			/* to be looked at; PG_INT64_MAX: all */
	int64		number;			/* of the record before the next one */
	uint8		before[KV_AUDIT_MAC_BYTES]; /* its code */
	int64		wrong;
	const char *reason;			/* NULL: none is wrong so far */
} Verification;

static void
free_mac(void *arg)
{
	kv_chain_mac_free(arg);
}

static void
read_keys(Verification *v)
{
	KvAuditKeyRow *rows;

	v->key_count = kv_audit_keys_read(&rows);
	v->keys = palloc0(sizeof(Key) * Max(v->key_count, 1));
	for (int i = 0; i < v->key_count; i++)
		v->keys[i].row = rows[i];
}

static bool
found_wrong(Verification *v, int64 number, const char *reason)
{
	v->wrong = number;
	v->reason = reason;
	return false;
}

/* The chain key of a record; NULL, and it is wrong, when that is not to be had. */
static KvChainMac *
key_of(Verification *v, int64 number)
{
	Key		   *key = NULL;
	const char *why;

	for (int i = 0; i < v->key_count && v->keys[i].row.first_number <= number; i++)
		key = &v->keys[i];
	if (key == NULL || key->row.sealed == NULL)
	{
		(void) found_wrong(v, number, key == NULL ? "there is no chain key for it" :
						   "its chain key was discarded");
		return NULL;
	}
	if (key->mac != NULL)
		return key->mac;
	key->mac = kv_chain_key_open(&key->row, &why);
	if (key->mac == NULL)
	{
		(void) found_wrong(v, number, psprintf("its chain key does not open: %s", why));
		return NULL;
	}
	key->at_end.func = free_mac;
	key->at_end.arg = key->mac;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &key->at_end);
	return key->mac;
}

/* Whether the id of a user or a team is the one that was recorded, or was taken out. */
static bool
is_its_id(KvChainMac *mac, const char *id, bool has_hash, const uint8 *recorded)
{
	uint8		hash[KV_AUDIT_HASH_BYTES];

	if (id == NULL)
		return true;
	if (!has_hash)
		return false;
	kv_audit_user_hash(mac, id, hash);
	return memcmp(hash, recorded, sizeof(hash)) == 0;
}

/* False when the record is wrong. */
static bool
check_row(Verification *v, const KvAuditRow *row)
{
	uint8		code[KV_AUDIT_MAC_BYTES];
	KvChainMac *mac;

	if (row->number != v->number + 1)
		return found_wrong(v, v->number + 1,
						   row->number == v->number + 2 ? "it was removed" :
						   psprintf("it and those up to " INT64_FORMAT " were removed", row->number - 1));
	mac = key_of(v, row->number);
	if (mac == NULL)
		return false;
	kv_audit_record_mac(mac, v->before, row, code);
	if (memcmp(code, row->mac, sizeof(code)) != 0)
		return found_wrong(v, row->number, "it was changed or put in");
	if (!is_its_id(mac, row->user_id, row->has_user_hash, row->user_hash) ||
		!is_its_id(mac, row->team_id, row->has_team_hash, row->team_hash))
		return found_wrong(v, row->number, "its user id or team id was changed");
	v->number = row->number;
	memcpy(v->before, row->mac, sizeof(v->before));
	return true;
}

/* What purge() says of what it removed.  False when it is wrong. */
static bool
check_checkpoint(Verification *v, const KvAuditCheckpoint *checkpoint)
{
	uint8		seal[KV_AUDIT_MAC_BYTES];
	KvChainMac *mac = key_of(v, checkpoint->number);

	if (mac == NULL)
		return false;
	kv_audit_checkpoint_seal(mac, checkpoint, seal);
	if (memcmp(seal, checkpoint->seal, sizeof(seal)) != 0)
		return found_wrong(v, checkpoint->number, "the checkpoint of what was purged was changed");
	return true;
}

/* Before the chain there is no record: its number would be one that was purged, or never is. */
static bool
check_nothing_before(Verification *v)
{
	int64		number;

	return !kv_audit_rows_first(&number) || number > v->number || found_wrong(v, number, "it was put in");
}

/* What is before the first record to be looked at. */
static bool
find_start(Verification *v, int64 first)
{
	KvAuditCheckpoint checkpoint;
	KvAuditRow *rows;

	if (kv_audit_checkpoint_read(&checkpoint) && first <= checkpoint.number + 1)
	{
		v->number = checkpoint.number;
		memcpy(v->before, checkpoint.mac, sizeof(v->before));
		return check_checkpoint(v, &checkpoint) && check_nothing_before(v);
	}
	v->number = first - 1;
	if (first == 1)
		return check_nothing_before(v);
	if (kv_audit_rows_after(first - 2, 1, &rows) != 1 || rows[0].number != first - 1)
		return found_wrong(v, first - 1, "it was removed, or never was");
	memcpy(v->before, rows[0].mac, sizeof(v->before));
	return true;
}

/* False when no more are to be looked at. */
static bool
check_batch(Verification *v, MemoryContext batch)
{
	MemoryContext caller = MemoryContextSwitchTo(batch);
	KvAuditRow *rows;
	int			count = kv_audit_rows_after(v->number, BATCH, &rows);
	bool		good = true;

	MemoryContextSwitchTo(caller);
	for (int i = 0; good && i < count && rows[i].number <= v->last; i++)
	{
		CHECK_FOR_INTERRUPTS();
		good = check_row(v, &rows[i]);
	}
	good = good && count == BATCH && v->number < v->last;
	MemoryContextReset(batch);
	return good;
}

static void
check_numbers(int64 first, int64 last)
{
	if (first < 1 || last < first)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("numbers of audit records begin with 1, and the last is not before the first")));
}

void
kv_audit_verify(const int64 *first, const int64 *last, Tuplestorestate *result, TupleDesc columns)
{
	Verification v = {.last = last != NULL ? *last : PG_INT64_MAX};
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "key_vault audit verification",
												ALLOCSET_DEFAULT_SIZES);
	Datum		values[2];
	bool		nulls[2] = {false, false};

	check_numbers(first != NULL ? *first : 1, v.last);
	read_keys(&v);
	if (find_start(&v, first != NULL ? *first : 1))
	{
		while (check_batch(&v, batch))
			;
		if (v.reason == NULL && last != NULL && v.number < *last)
			(void) found_wrong(&v, v.number + 1, "it was removed, or never was: the chain ends before it");
	}
	MemoryContextDelete(batch);
	if (v.reason == NULL)
		return;
	values[0] = Int64GetDatum(v.wrong);
	values[1] = CStringGetTextDatum(v.reason);
	tuplestore_putvalues(result, columns, values, nulls);
}

void
kv_audit_report_head(Tuplestorestate *result, TupleDesc columns)
{
	KvAuditHead head;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	char		hex[2 * KV_AUDIT_MAC_BYTES];

	kv_audit_rows_head(&head);
	if (head.number == 0)
		return;
	(void) hex_encode((const char *) head.mac, sizeof(head.mac), hex);
	values[0] = Int64GetDatum(head.number);
	values[1] = TimestampTzGetDatum(head.at);
	values[2] = PointerGetDatum(cstring_to_text_with_len(hex, sizeof(hex)));
	tuplestore_putvalues(result, columns, values, nulls);
}

void
kv_audit_report_history(text *user_id, const Interval *within, Tuplestorestate *result)
{
	text	   *user = kv_identity_require(user_id);

	KV_ACT_FOR(user);
	{
		kv_audit_rows_history(user, within, result);
	}
	KV_ACT_END();
}
