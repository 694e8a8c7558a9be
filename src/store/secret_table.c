/*
 * secret_table.c
 *		The straight way to the current version of a secret: one backward probe
 *		of the primary key.
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/policy.h"
#include "store/secret_access.h"
#include "store/secret_table.h"

void
kv_secret_table_init(void)
{
	kv_access_init();
}

void
kv_secret_table_unpack(TupleTableSlot *slot, KvSecretRow *row)
{
	text	   *id;
	bool		id_null;

	slot_getsomeattrs(slot, KV_SECRETS_EXPIRES_AT);
	memset(row, 0, sizeof(*row));
	row->version = DatumGetInt32(slot->tts_values[KV_SECRETS_VERSION - 1]);
	id = DatumGetTextPP(slot_getattr(slot, KV_SECRETS_ROOT_KEY_ID, &id_null));
	if (!id_null && VARSIZE_ANY_EXHDR(id) == KV_ROOT_KEY_ID_HEX)
		memcpy(row->root_key_id, VARDATA_ANY(id), KV_ROOT_KEY_ID_HEX);
	row->sealed = DatumGetByteaPCopy(slot->tts_values[KV_SECRETS_SEALED - 1]);
	if (!slot->tts_isnull[KV_SECRETS_HINT - 1])
		row->hint = DatumGetTextPCopy(slot->tts_values[KV_SECRETS_HINT - 1]);
	row->has_expiry = !slot->tts_isnull[KV_SECRETS_EXPIRES_AT - 1];
	if (row->has_expiry)
		row->expires_at = DatumGetTimestampTz(slot->tts_values[KV_SECRETS_EXPIRES_AT - 1]);
}

/* For the newest row of a name that the policy (or NULL) admits, or its version. */
typedef struct Probe
{
	const KvSecretName *name;
	KvPolicy   *policy;
	KvSecretRow *row;
	int32		version;
	bool		found;
} Probe;

static bool
take_newest(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	if (probe->policy != NULL && !kv_policy_admits(probe->policy, access->slot))
		return true;
	kv_secret_table_unpack(access->slot, probe->row);
	probe->found = true;
	return false;
}

static bool
take_version(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;
	bool		isnull;

	probe->version = DatumGetInt32(slot_getattr(access->slot,
												KV_SECRETS_VERSION, &isnull));
	probe->found = true;
	return false;
}

static void
read_as_caller(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	kv_access_check_rights(access, KV_COLUMNS_OF_KEY);
	probe->policy = kv_access_read_policy(access, rel);
	kv_access_scan(access, rel, probe->name, KV_NAME_KEYS, take_newest, probe);
}

/* Neither privileges nor policies hold the owner back. */
static void
find_highest(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	kv_access_scan(access, rel, probe->name, KV_NAME_KEYS, take_version, probe);
}

static void
find_latest(KvAccess *access, Relation rel, void *arg)
{
	Probe	   *probe = arg;

	kv_access_scan_latest(access, rel, probe->name, KV_NAME_KEYS, take_version, probe);
}

static KvStraight
go_straight(KvStraightWork work, Probe *probe)
{
	if (!kv_access_go_straight(AccessShareLock, work, probe))
		return KV_STRAIGHT_IMPOSSIBLE;
	return probe->found ? KV_STRAIGHT_FOUND : KV_STRAIGHT_NONE;
}

KvStraight
kv_secret_table_current(const KvSecretName *name, KvSecretRow *row)
{
	Probe		probe = {.name = name, .row = row};

	return go_straight(read_as_caller, &probe);
}

static KvStraight
find_version(KvStraightWork find, const KvSecretName *name, int32 *version)
{
	Probe		probe = {.name = name};
	KvStraight	result = go_straight(find, &probe);

	*version = probe.version;
	return result;
}

KvStraight
kv_secret_table_highest(const KvSecretName *name, int32 *version)
{
	return find_version(find_highest, name, version);
}

KvStraight
kv_secret_table_latest(const KvSecretName *name, int32 *version)
{
	return find_version(find_latest, name, version);
}

void
kv_secret_table_refuse(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("row-level security policy of table \"%s\" refuses the row",
					RelationGetRelationName(rel)),
			 errdetail("The row belongs to another user than the call acts for, or a policy of this database is stricter.")));
}

void
kv_secret_table_check_policy(char command, HeapTuple tuple, TupleDesc columns)
{
	Relation	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	KvAccess   *access = kv_access_hold(kv_access_now(rel));

	PG_TRY();
	{
		KvPolicy   *policy = kv_access_policy(access, rel, command);

		if (policy != NULL && !kv_policy_admits_returned(policy, rel, tuple, columns))
			kv_secret_table_refuse(rel);
	}
	PG_FINALLY();
	{
		kv_access_release(access);
	}
	PG_END_TRY();
	table_close(rel, NoLock);
}
