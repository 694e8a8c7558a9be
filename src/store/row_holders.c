/*
 * row_holders.c
 *		Who keeps rows locked, or has changed them and not ended yet.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "store/row_holders.h"

static void
add_transaction(KvRowHolders *holders, TransactionId transaction)
{
	if (TransactionIdIsCurrentTransactionId(transaction) ||
		!TransactionIdIsInProgress(transaction))
		return;
	/* processes are known by the whole transaction, not by a part of it */
	transaction = SubTransGetTopmostTransaction(transaction);
	for (int i = 0; i < holders->count; i++)
	{
		if (holders->transactions[i] == transaction)
			return;
	}
	if (holders->count < KV_ROW_HOLDERS_MAX)
		holders->transactions[holders->count++] = transaction;
}

/* Several hold the row at once, each in its own way. */
static void
add_members(KvRowHolders *holders, MultiXactId multi, uint16 infomask)
{
	MultiXactMember *members;
	int			count = GetMultiXactIdMembers(multi, &members, false,
											  HEAP_XMAX_IS_LOCKED_ONLY(infomask));

	for (int i = 0; i < count; i++)
		add_transaction(holders, members[i].xid);
	if (count > 0)
		pfree(members);
}

/* slot holds a row that is pinned in its buffer. */
static void
add_of_row(KvRowHolders *holders, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *row = (BufferHeapTupleTableSlot *) slot;
	HeapTupleHeader header = row->base.tuple->t_data;
	uint16		infomask;
	TransactionId xmax;

	LockBuffer(row->buffer, BUFFER_LOCK_SHARE);
	infomask = header->t_infomask;
	xmax = HeapTupleHeaderGetRawXmax(header);
	LockBuffer(row->buffer, BUFFER_LOCK_UNLOCK);

	if ((infomask & HEAP_XMAX_INVALID) || HEAP_LOCKED_UPGRADED(infomask))
		return;
	if (infomask & HEAP_XMAX_IS_MULTI)
		add_members(holders, xmax, infomask);
	else
		add_transaction(holders, xmax);
}

void
kv_row_holders_add(KvRowHolders *holders, Oid table, ItemPointer place)
{
	Relation	rel;
	TupleTableSlot *slot;

	/* a row on another node, whose transactions nobody knows here */
	if (holders->count == KV_ROW_HOLDERS_MAX || !OidIsValid(table))
		return;
	rel = table_open(table, AccessShareLock);
	slot = table_slot_create(rel, NULL);
	/* another kind of table keeps this in another way, and tells nobody */
	if (TTS_IS_BUFFERTUPLE(slot) &&
		table_tuple_fetch_row_version(rel, place, SnapshotAny, slot))
		add_of_row(holders, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
}

bool
kv_row_holders_go_on(const KvRowHolders *holders)
{
	for (int i = 0; i < holders->count; i++)
	{
		if (!TransactionIdIsInProgress(holders->transactions[i]))
			return false;
	}
	return true;
}

char *
kv_row_holders_names(const KvRowHolders *holders)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < holders->count; i++)
	{
		int			pid = BackendXidGetPid(holders->transactions[i]);

		if (pid == 0 && !TransactionIdIsInProgress(holders->transactions[i]))
			continue;
		if (names.len > 0)
			appendStringInfoString(&names, ", ");
		if (pid != 0)
			appendStringInfo(&names, "process %d", pid);
		else
			appendStringInfoString(&names, "a prepared transaction");
	}
	return names.data;
}
