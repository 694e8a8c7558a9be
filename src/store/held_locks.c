/*
 * held_locks.c
 *		Remembers which relations the transaction has locked for reading, and where they are.
 *
 * A lock is gone when the transaction ends, or when a subtransaction is undone: perhaps
 * the one that took it, or one in which the portal failed that had.  Nothing else gives
 * up what was closed with NoLock.
 *
 * What the relation cache has of a relation stays where it is until a message says that the
 * relation has changed; then it may be gone, for nobody keeps it open between two calls.  What
 * goes without a message goes with a transaction or a subtransaction that is undone.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "server/invalidation.h"
#include "store/held_locks.h"

#define MAX_HELD 4				/* secrets, outcomes and their primary keys */

typedef struct Held
{
	Oid			oid;
	Relation	relation;		/* NULL: to be looked for */
} Held;

static LocalTransactionId held_in = InvalidLocalTransactionId;
static Held held[MAX_HELD];
static int	held_count;

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subtransaction,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		held_in = InvalidLocalTransactionId;
}

static void
forget_relation(Oid relid)
{
	for (int i = 0; i < held_count; i++)
	{
		if (relid == InvalidOid || relid == held[i].oid)
			held[i].relation = NULL;
	}
}

void
kv_held_locks_init(void)
{
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	kv_watch_relations(forget_relation);
}

/* NULL: not held, as far as is known. */
static Held *
find_held(Oid oid)
{
	if (held_in != kv_local_transaction_id())
		return NULL;
	for (int i = 0; i < held_count; i++)
	{
		if (held[i].oid == oid)
			return &held[i];
	}
	return NULL;
}

static void
note_held(Relation relation)
{
	if (held_in != kv_local_transaction_id())
		held_count = 0;
	held_in = kv_local_transaction_id();
	if (held_count < MAX_HELD)
		held[held_count++] = (Held){RelationGetRelid(relation), relation};
}

/* table_open() or index_open() */
typedef Relation (*Open) (Oid oid, LOCKMODE lock);

static Relation
open_to_read(Oid oid, Open open)
{
	Held	   *known = find_held(oid);
	Relation	relation;

	if (known != NULL && known->relation != NULL)
	{
		RelationIncrementReferenceCount(known->relation);
		return known->relation;
	}
	relation = open(oid, known != NULL ? NoLock : AccessShareLock);
	if (known != NULL)
		known->relation = relation;
	else
		note_held(relation);
	return relation;
}

Relation
kv_table_open_to_read(Oid table)
{
	return open_to_read(table, table_open);
}

Relation
kv_index_open_to_read(Oid index)
{
	return open_to_read(index, index_open);
}
