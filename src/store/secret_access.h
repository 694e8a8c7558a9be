/*
 * secret_access.h
 *		What was decided about key_vault_data.secrets for the current user, for those
 *		files of this room that work on the table without a planner.
 */
#ifndef KV_SECRET_ACCESS_H
#define KV_SECRET_ACCESS_H

#include "access/htup.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "store/kept_scan.h"
#include "store/policy.h"

/* The columns that a call reads, and has to have SELECT on. */
typedef enum KvColumns
{
	KV_COLUMNS_OF_KEY,			/* all but created_at, which is told to nobody */
	KV_COLUMNS_OF_LIST			/* all but root_key_id and sealed */
} KvColumns;

/* What the executor checks for them. */
typedef struct KvRights
{
	List	   *range_table;
	List	   *permissions;
	bool		hold;			/* checked, and nobody else wants to know */
} KvRights;

/* Good for one user.  Dropped when the table, a role, a membership or a function changes. */
typedef struct KvAccess
{
	MemoryContext context;		/* holds this and all below */
	Oid			user;
	bool		straight;		/* the table is as shipped */
	bool		exempt;			/* superusers, owners, BYPASSRLS read past the policies */
	int			users;			/* calls up the stack that use any of this */
	bool		slot_in_use;	/* by one of them */
	KvRights	rights[2];		/* by KvColumns */
	KvPolicy   *may_select;		/* these are NULL until they are asked for */
	KvPolicy   *may_insert;
	KvPolicy   *may_update;
	KvPolicy   *may_delete;
	TupleTableSlot *slot;		/* where a scan is */
	KvKeptScan	scan_of_name;	/* which all scans of one secret use */
	KvKeptScan	scan_of_versions;	/* the same, of those that look at the index first */
	struct KvRowChecks *checks; /* secret_checks.c's, NULL until it is asked for */
} KvAccess;

/* Registers the callbacks that drop what is cached; once a process. */
extern void kv_access_init(void);

/* What holds for the current user now.  rel is locked. */
extern KvAccess *kv_access_now(Relation rel);

/*
 * Between the two, a call of ours further down the stack, by a trigger or a policy
 * of this database, does not free it.
 */
extern KvAccess *kv_access_hold(KvAccess *access);
extern void kv_access_release(KvAccess *access);

/* The policies for one command, prepared when first asked for; or NULL. */
extern KvPolicy *kv_access_policy(KvAccess *access, Relation rel, char command);

/* Those for reading; NULL also for users to whom they do not apply. */
extern KvPolicy *kv_access_read_policy(KvAccess *access, Relation rel);

/* Checks that the caller may read, as the executor does.  Errors: 42501. */
extern void kv_access_check_rights(KvAccess *access, KvColumns columns);

/*
 * Does work on the table, under a lock or (NoLock) one that is held already, if it is as
 * shipped, and not in use by a call further up the stack (a policy may call get() again);
 * false otherwise.
 */
typedef void (*KvStraightWork) (KvAccess *access, Relation rel, void *arg);
extern bool kv_access_go_straight(LOCKMODE lock, KvStraightWork work, void *arg);

/*
 * Runs the table's policies on a row that was written or removed as the owner.
 * command is one of policy.h's.  Errors: 42501 when they do not admit it.
 */
extern void kv_access_check_policy(char command, HeapTuple tuple, TupleDesc columns);

#endif							/* KV_SECRET_ACCESS_H */
