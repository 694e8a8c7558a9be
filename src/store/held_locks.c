/*
 * held_locks.c
 *		Remembers which relations the transaction has locked for reading.
 *
 * A lock is gone when the transaction ends, or when a subtransaction is undone: perhaps
 * the one that took it, or one in which the portal failed that had.  Nothing else gives
 * up what was closed with NoLock.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "storage/proc.h"

#include "server/compat.h"
#include "store/held_locks.h"

#define MAX_HELD 2				/* the table and its primary key */

static LocalTransactionId held_in = InvalidLocalTransactionId;
static Oid	held[MAX_HELD];
static int	held_count;

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subtransaction,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		held_in = InvalidLocalTransactionId;
}

void
kv_held_locks_init(void)
{
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}

static bool
is_held(Oid relation)
{
	if (held_in != kv_local_transaction_id())
		return false;
	for (int i = 0; i < held_count; i++)
	{
		if (held[i] == relation)
			return true;
	}
	return false;
}

static void
note_held(Oid relation)
{
	if (held_in != kv_local_transaction_id())
		held_count = 0;
	held_in = kv_local_transaction_id();
	if (held_count < MAX_HELD)
		held[held_count++] = relation;
}

/* The lock to open it with. */
static LOCKMODE
lock_for(Oid relation)
{
	return is_held(relation) ? NoLock : AccessShareLock;
}

Relation
kv_table_open_to_read(Oid table)
{
	LOCKMODE	lock = lock_for(table);
	Relation	rel = table_open(table, lock);

	if (lock != NoLock)
		note_held(table);
	return rel;
}

Relation
kv_index_open_to_read(Oid index)
{
	LOCKMODE	lock = lock_for(index);
	Relation	rel = index_open(index, lock);

	if (lock != NoLock)
		note_held(index);
	return rel;
}
