/*
 * secret_table.c
 *		The straight way to the current version of a secret: one backward probe
 *		of the primary key, without a planner, but with all that the executor
 *		would check.
 *
 * Whatever makes the table other than the install script left it (a
 * partition, a child, a rule, a trigger, another policy, no usable primary
 * key) sends the caller to the planner's way: this file knows one shape only.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/rowsecurity.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/checks.h"
#include "store/policy.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define PROBE_KEYS 3			/* user_id, provider, label */

/*
 * What was decided for one user under one setting of row_security.  Dropped
 * when the table, a role, a membership or a function changes.
 */
struct KvTableAccess
{
	MemoryContext context;		/* holds this and all below */
	Oid			user;
	bool		row_security;
	bool		straight;		/* the table is as shipped */
	bool		privileges_hold;	/* checked, and nobody else wants to know */
	int			users;			/* calls up the stack that use any of this */
	bool		slot_in_use;	/* by one of them */
	List	   *range_table;
	List	   *permissions;
	bool		policy_applies; /* not for superusers, owners, BYPASSRLS */
	KvPolicy   *may_select;
	KvPolicy   *may_insert;
	KvPolicy   *may_update;
	KvPolicy   *may_delete;
	bool		checks_prepared;
	KvChecks   *checks;			/* of an INSERT */
	TupleTableSlot *slot;
	ScanKeyData keys[PROBE_KEYS];
};

typedef struct KvTableAccess Access;

static Access *known = NULL;
static bool known_is_valid = false;
static Oid	secrets_oid = InvalidOid;

static void
forget_relation(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == secrets_oid)
	{
		known_is_valid = false;
		secrets_oid = InvalidOid;
	}
}

static void
forget_access(Datum arg, int cacheid, uint32 hashvalue)
{
	known_is_valid = false;
}

void
kv_secret_table_init(void)
{
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_access, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_access, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, forget_access, (Datum) 0);
	kv_checks_init();
}

Oid
kv_secret_table_oid(void)
{
	if (!OidIsValid(secrets_oid))
	{
		Oid			namespace = kv_schema();

		secrets_oid = get_relname_relid("secrets", namespace);
		if (!OidIsValid(secrets_oid))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"key_vault.secrets\" does not exist")));
	}
	return secrets_oid;
}

/* Whether the primary key leads with the columns that a probe names. */
static bool
primary_key_is_usable(Relation rel)
{
	Oid			index_oid = kv_primary_key_index(rel);
	Relation	index;
	bool		usable;

	if (!OidIsValid(index_oid))
		return false;

	index = index_open(index_oid, AccessShareLock);
	usable = index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_index->indisvalid &&
		index->rd_index->indnkeyatts == 4 &&
		index->rd_index->indkey.values[0] == KV_SECRETS_USER_ID &&
		index->rd_index->indkey.values[1] == KV_SECRETS_PROVIDER &&
		index->rd_index->indkey.values[2] == KV_SECRETS_LABEL &&
		index->rd_index->indkey.values[3] == KV_SECRETS_VERSION &&
		index->rd_indcollation[0] == C_COLLATION_OID &&
		index->rd_indcollation[1] == C_COLLATION_OID &&
		index->rd_indcollation[2] == C_COLLATION_OID;
	index_close(index, AccessShareLock);
	return usable;
}

/* relhasrules and relhastriggers outlive the last rule and trigger. */
static bool
table_is_as_shipped(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		!rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass &&
		rel->rd_rules == NULL &&
		rel->trigdesc == NULL &&
		!rel->rd_rel->relforcerowsecurity &&
		RelationGetDescr(rel)->natts >= KV_SECRETS_COLUMNS &&
		kv_policy_is_single(rel) &&
		primary_key_is_usable(rel);
}

/* The range table entry that the executor would check for the planner's way. */
static void
prepare_privileges(Access *new, Relation rel)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	KvPermissions *permissions;

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	new->range_table = list_make1(rte);

	permissions = kv_permissions_of(rte, &new->permissions);
	permissions->requiredPerms = ACL_SELECT;
	for (int column = KV_SECRETS_USER_ID; column <= KV_SECRETS_EXPIRES_AT; column++)
		permissions->selectedCols =
			bms_add_member(permissions->selectedCols,
						   column - FirstLowInvalidHeapAttributeNumber);
}

static void
prepare_probe(Access *new, Relation rel)
{
	new->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
										 table_slot_callbacks(rel));
	for (int i = 0; i < PROBE_KEYS; i++)
		ScanKeyEntryInitialize(&new->keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid, C_COLLATION_OID, F_TEXTEQ, (Datum) 0);
}

static Access *
build_access(Relation rel)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "key_vault access",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Access	   *new = palloc0(sizeof(Access));

	new->context = context;
	new->user = GetUserId();
	new->row_security = row_security;
	PG_TRY();
	{
		/* with row_security off the planner decides whether that is an error */
		new->straight = row_security && table_is_as_shipped(rel);
		if (new->straight)
		{
			prepare_privileges(new, rel);
			prepare_probe(new, rel);
			new->policy_applies = check_enable_rls(RelationGetRelid(rel),
												   InvalidOid, false) == RLS_ENABLED;
			if (new->policy_applies)
				new->may_select = kv_policy_prepare(rel, KV_POLICY_SELECT, context);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return new;
}

/* Lets go of what is known; calls up the stack that use it free it. */
static void
give_up_known(void)
{
	if (known != NULL && known->users == 0)
		MemoryContextDelete(known->context);
	known = NULL;
}

/* What holds for the current user now.  rel is locked. */
static Access *
current_access(Relation rel)
{
	if (known != NULL && known_is_valid && known->user == GetUserId() &&
		known->row_security == row_security)
		return known;

	give_up_known();
	/* Before building: a change that comes in meanwhile must not be lost. */
	known_is_valid = true;
	known = build_access(rel);
	return known;
}

/*
 * From here to release(), a call of ours further down the stack, by a trigger or a
 * policy of this database, does not free it.
 */
static Access *
hold(Access *now)
{
	now->users++;
	return now;
}

static void
release(Access *now)
{
	if (--now->users == 0 && now != known)
		MemoryContextDelete(now->context);
}

static void
check_privileges(Access *now)
{
	/* Whoever hooks in (an auditor) sees every read, as from the executor. */
	if (now->privileges_hold && ExecutorCheckPerms_hook == NULL)
		return;
	kv_check_permissions(now->range_table, now->permissions);
	now->privileges_hold = true;
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

/* The newest row that the policy (or NULL) admits, with a fresh snapshot. */
static bool
probe(Access *now, Relation rel, const KvSecretName *name, KvPolicy *policy,
	  KvSecretRow *row)
{
	Relation	index = index_open(kv_primary_key_index(rel), AccessShareLock);
	IndexScanDesc scan;
	bool		found = false;

	now->keys[0].sk_argument = PointerGetDatum(name->user_id);
	now->keys[1].sk_argument = PointerGetDatum(name->provider);
	now->keys[2].sk_argument = PointerGetDatum(name->label);

	PushActiveSnapshot(GetTransactionSnapshot());
	scan = kv_index_beginscan(rel, index, GetActiveSnapshot(), PROBE_KEYS);
	index_rescan(scan, now->keys, PROBE_KEYS, NULL, 0);
	while (!found && index_getnext_slot(scan, BackwardScanDirection, now->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (policy != NULL && !kv_policy_admits(policy, now->slot))
			continue;
		kv_secret_table_unpack(now->slot, row);
		found = true;
	}
	ExecClearTuple(now->slot);
	index_endscan(scan);
	PopActiveSnapshot();
	/* the lock stays to the end of the transaction, as the executor's would */
	index_close(index, NoLock);
	return found;
}

/* With whose rights a probe reads. */
typedef enum Reader
{
	READER_CALLER,
	READER_OWNER				/* no policy, and every privilege */
} Reader;

static KvStraight
read_newest(const KvSecretName *name, Reader reader, KvSecretRow *row)
{
	Relation	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	Access	   *now = current_access(rel);
	bool		found = false;

	/* a policy that calls get() again comes here while the slot is in use */
	if (!now->straight || now->slot_in_use)
	{
		table_close(rel, NoLock);
		return KV_STRAIGHT_IMPOSSIBLE;
	}

	hold(now)->slot_in_use = true;
	PG_TRY();
	{
		if (reader == READER_CALLER)
			check_privileges(now);
		found = probe(now, rel, name,
					  reader == READER_CALLER ? now->may_select : NULL, row);
	}
	PG_CATCH();
	{
		/* the slot may point into a buffer that is no longer pinned */
		if (known == now)
			known = NULL;
		release(now);
		PG_RE_THROW();
	}
	PG_END_TRY();
	now->slot_in_use = false;
	release(now);

	table_close(rel, NoLock);
	return found ? KV_STRAIGHT_FOUND : KV_STRAIGHT_NONE;
}

KvStraight
kv_secret_table_current(const KvSecretName *name, KvSecretRow *row)
{
	return read_newest(name, READER_CALLER, row);
}

KvStraight
kv_secret_table_highest(const KvSecretName *name, KvSecretRow *row)
{
	return read_newest(name, READER_OWNER, row);
}

Access *
kv_secret_table_lend_checks(void)
{
	Relation	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	Access	   *now = current_access(rel);

	if (!now->checks_prepared)
		now->checks = kv_checks_prepare(rel, now->context);
	now->checks_prepared = true;
	table_close(rel, NoLock);
	kv_checks_lend(now->checks);
	return hold(now);
}

void
kv_secret_table_take_back_checks(Access *lender)
{
	kv_checks_lend(NULL);
	release(lender);
}

/* The policy for one kind of write, prepared when first asked for. */
static KvPolicy *
write_policy(Access *now, Relation rel, char command)
{
	KvPolicy  **policy = command == KV_POLICY_INSERT ? &now->may_insert :
		command == KV_POLICY_UPDATE ? &now->may_update : &now->may_delete;

	if (*policy == NULL)
		*policy = kv_policy_prepare(rel, command, now->context);
	return *policy;
}

void
kv_secret_table_check_policy(char command, HeapTuple tuple, TupleDesc columns)
{
	Relation	rel = table_open(kv_secret_table_oid(), AccessShareLock);
	Access	   *now = hold(current_access(rel));

	PG_TRY();
	{
		KvPolicy   *policy = write_policy(now, rel, command);

		if (policy != NULL && !kv_policy_admits_returned(policy, rel, tuple, columns))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("row-level security policy of table \"%s\" refuses the row",
							RelationGetRelationName(rel)),
					 errdetail("The row belongs to another user than the call acts for, or a policy of this database is stricter.")));
	}
	PG_FINALLY();
	{
		release(now);
	}
	PG_END_TRY();
	table_close(rel, NoLock);
}
