/*
 * secret_access.c
 *		What holds for the current user of key_vault_data.secrets: whether the table is
 *		worked on without a planner, and all that the executor would check.
 *
 * Whatever makes the table other than the install script left it (a
 * partition, a child, a rule, a trigger, another policy, no usable primary
 * key) sends the caller to the planner's way: one shape only is known here.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "server/compat.h"
#include "server/invalidation.h"
#include "store/distribution.h"
#include "store/held_locks.h"
#include "store/policy.h"
#include "store/privileges.h"
#include "store/secret_access.h"
#include "store/secret_table.h"
#include "store/statement.h"

static KvAccess *known = NULL;
static bool known_is_valid = false;

/* Whose OID known was made for, so that messages about other tables leave it alone. */
static Oid	known_table = InvalidOid;

static void
forget_relation(Oid relid)
{
	if (relid == InvalidOid || relid == known_table)
		known_is_valid = false;
}

static void
forget_access(void)
{
	known_is_valid = false;
}

void
kv_access_init(void)
{
	kv_watch_relations(forget_relation);
	kv_watch_catalog(AUTHOID, forget_access);
	kv_watch_catalog(AUTHMEMROLEMEM, forget_access);
	/* pg_database_owner has a member that no membership tells of */
	kv_watch_catalog(DATABASEOID, forget_access);
	kv_watch_catalog(PROCOID, forget_access);
}

/* The columns that a reading of one kind takes. */
static Bitmapset *
columns_of(KvColumns columns)
{
	Bitmapset  *result = NULL;

	for (int column = KV_SECRETS_USER_ID; column <= KV_SECRETS_COLUMNS; column++)
	{
		bool		taken = columns == KV_COLUMNS_OF_KEY ?
			column != KV_SECRETS_CREATED_AT :
			column != KV_SECRETS_ROOT_KEY_ID && column != KV_SECRETS_SEALED;

		if (taken)
			result = bms_add_member(result, column - FirstLowInvalidHeapAttributeNumber);
	}
	return result;
}

static List *
names_of_columns(Relation rel)
{
	TupleDesc	columns = RelationGetDescr(rel);
	List	   *names = NIL;

	for (int i = 0; i < columns->natts; i++)
		names = lappend(names, makeString(pstrdup(NameStr(TupleDescAttr(columns, i)->attname))));
	return names;
}

/* The range table entry that the executor would check. */
static void
prepare_rights(KvRights *rights, Relation rel, KvColumns columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	KvPermissions *permissions;

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	/* who explains the started executor asks for names */
	rte->eref = makeAlias(RelationGetRelationName(rel), names_of_columns(rel));
	rights->range_table = list_make1(rte);

	permissions = kv_permissions_of(rte, &rights->permissions);
	permissions->requiredPerms = ACL_SELECT;
	permissions->selectedCols = columns_of(columns);
}

static KvAccess *
build_access(Relation rel)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "key_vault access",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KvAccess   *new = palloc0(sizeof(KvAccess));

	new->context = context;
	new->user = GetUserId();
	PG_TRY();
	{
		/* to Citus the table is a name: its rows are in shards */
		new->straight = kv_secret_table_is_as_shipped(rel) &&
			kv_distribution() == KV_UNDISTRIBUTED;
		/* row_security = off is for those who write SQL of their own: no call of ours fails by it */
		new->exempt = check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
		prepare_rights(&new->rights[KV_COLUMNS_OF_KEY], rel, KV_COLUMNS_OF_KEY);
		prepare_rights(&new->rights[KV_COLUMNS_OF_LIST], rel, KV_COLUMNS_OF_LIST);
		if (new->straight)
			new->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
												 table_slot_callbacks(rel));
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

KvAccess *
kv_access_now(Relation rel)
{
	if (known != NULL && known_is_valid && known->user == GetUserId())
		return known;

	give_up_known();
	/* Before building: a change that comes in meanwhile must not be lost. */
	known_table = RelationGetRelid(rel);
	known_is_valid = true;
	known = build_access(rel);
	return known;
}

KvAccess *
kv_access_hold(KvAccess *access)
{
	access->users++;
	return access;
}

void
kv_access_release(KvAccess *access)
{
	if (--access->users == 0 && access != known)
		MemoryContextDelete(access->context);
}

static KvPolicy **
place_of_policy(KvAccess *access, char command)
{
	switch (command)
	{
		case KV_POLICY_SELECT:
			return &access->may_select;
		case KV_POLICY_INSERT:
			return &access->may_insert;
		case KV_POLICY_UPDATE:
			return &access->may_update;
		default:
			return &access->may_delete;
	}
}

KvPolicy *
kv_access_policy(KvAccess *access, Relation rel, char command)
{
	KvPolicy  **policy = place_of_policy(access, command);

	if (*policy == NULL)
		*policy = kv_policy_prepare(rel, command, access->context);
	return *policy;
}

KvPolicy *
kv_access_read_policy(KvAccess *access, Relation rel)
{
	return access->exempt ? NULL : kv_access_policy(access, rel, KV_POLICY_SELECT);
}

void
kv_access_check_rights(KvAccess *access, KvColumns columns)
{
	KvRights   *rights = &access->rights[columns];

	/* Whoever hooks in (an auditor) sees every read, as from the executor. */
	if (rights->hold && !kv_privileges_are_watched())
		return;
	kv_privileges_check(rights->range_table, rights->permissions);
	rights->hold = true;
}

bool
kv_access_go_straight(LOCKMODE lock, KvStraightWork work, void *arg)
{
	Relation	rel;
	KvAccess   *access;

	/* As for any statement: not while the schema has another name. */
	(void) kv_schema();
	rel = lock == AccessShareLock ? kv_table_open_to_read(kv_secret_table_oid()) :
		table_open(kv_secret_table_oid(), lock);
	access = kv_access_now(rel);
	if (!access->straight || access->slot_in_use)
	{
		table_close(rel, NoLock);
		return false;
	}

	kv_access_hold(access)->slot_in_use = true;
	PG_TRY();
	{
		work(access, rel, arg);
	}
	PG_CATCH();
	{
		/* the slot may point into a buffer that is no longer pinned */
		if (known == access)
			known = NULL;
		kv_access_release(access);
		PG_RE_THROW();
	}
	PG_END_TRY();
	access->slot_in_use = false;
	kv_access_release(access);
	table_close(rel, NoLock);
	return true;
}

void
kv_access_check_policy(char command, HeapTuple tuple, TupleDesc columns)
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
