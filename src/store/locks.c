/*
 * locks.c
 *		Locks of ours that no statement of anybody's can name.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/inval.h"

#include "server/compat.h"
#include "store/locks.h"
#include "store/secret_table.h"
#include "store/statement.h"

/* All sessions share a table that has room for 64 locks of each. */
#define PARTS_MAX 16

static KvStatement select_holder = {
	"SELECT pid FROM pg_catalog.pg_locks"
	" WHERE locktype OPERATOR(pg_catalog.=) 'object' AND granted"
	" AND database OPERATOR(pg_catalog.=) $1"
	" AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid"
	" AND objid OPERATOR(pg_catalog.=) $2"
	" AND objsubid OPERATOR(pg_catalog.=) $3",
	3, {OIDOID, OIDOID, INT4OID}
};

static LOCKTAG
tag_of(KvLock lock)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
					   kv_secret_table_oid(), lock);
	return tag;
}

static int
holder_of(KvLock lock)
{
	Datum		values[3];
	bool		isnull;
	int			pid = 0;

	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(kv_secret_table_oid());
	values[2] = Int32GetDatum(lock);
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_holder, values, NULL, 1) > 0)
		pid = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return pid;
}

void
kv_lock_for_session(KvLock lock, const char *what)
{
	LOCKTAG		tag = tag_of(lock);
	int			pid;

	if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
		return;

	pid = holder_of(lock);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("another session is %s", what),
			 pid != 0 ? errdetail("Its process ID is %d.", pid) : 0,
			 errhint("Wait until it is done.")));
}

void
kv_unlock_for_session(KvLock lock)
{
	LOCKTAG		tag = tag_of(lock);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

void
kv_lock_for_transaction(KvLock lock)
{
	LOCKTAG		tag = tag_of(lock);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	/* what the one before us changed */
	AcceptInvalidationMessages();
}

bool
kv_lock_part_if_free(uint32 part)
{
	static LocalTransactionId taken_in = InvalidLocalTransactionId;
	static int	taken;
	LOCKTAG		tag;

	if (taken_in != kv_local_transaction_id())
		taken = 0;
	taken_in = kv_local_transaction_id();
	if (taken == PARTS_MAX)
		return false;
	/* no catalog has the table's OID, so that no statement's lock is one of these */
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, kv_secret_table_oid(), part, 0);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	taken++;
	return true;
}
