/*
 * procedure.c
 *		Transactions within a procedure.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/pquery.h"

#include "store/procedure.h"
#include "store/statement.h"

static KvStatement select_holder = {
	"SELECT pid FROM pg_catalog.pg_locks"
	" WHERE locktype OPERATOR(pg_catalog.=) 'object' AND granted"
	" AND mode OPERATOR(pg_catalog.=) 'ShareUpdateExclusiveLock'"
	" AND database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database"
	" WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
	" AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid"
	" AND objid OPERATOR(pg_catalog.=) $1",
	1, {OIDOID}
};

void
kv_procedure_begin(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
}

void
kv_procedure_commit(void)
{
	SPI_commit();

	/* Before the first snapshot: in higher ones, a concurrent write would be an error */
	XactIsoLevel = XACT_READ_COMMITTED;
	/* Long values are fetched from TOAST between the statements, too */
	EnsurePortalSnapshotExists();
}

void
kv_procedure_end(void)
{
	SPI_finish();
}

static int
holder_of_lock(Oid procedure)
{
	Datum		values[1] = {ObjectIdGetDatum(procedure)};
	bool		isnull;
	int			pid = 0;

	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_holder, values, NULL, 1) > 0)
		pid = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return pid;
}

/*
 * The lock is one on the procedure itself: nobody but its owner can take that,
 * and no vacuum does.
 */
void
kv_procedure_lock(Oid procedure, const char *what)
{
	LOCKTAG		tag;
	int			pid;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ProcedureRelationId, procedure, 0);
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
		return;

	pid = holder_of_lock(procedure);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("another session is %s", what),
			 pid != 0 ? errdetail("Its process ID is %d.", pid) : 0,
			 errhint("Wait until it is done.")));
}

void
kv_procedure_unlock(Oid procedure)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ProcedureRelationId, procedure, 0);
	(void) LockRelease(&tag, ShareUpdateExclusiveLock, true);
}
