/*
 * secret_writers.c
 *		Who is writing to key_vault_data.secrets.
 *
 * A lock that conflicts with theirs would do as well, but whoever waits for such a
 * lock has all behind it who want to write later: one writer who is idle would then
 * stop all of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "server/nap.h"
#include "store/secret_table.h"
#include "store/secret_writers.h"
#include "store/statement.h"

#define LIMIT_MS	60000
#define NAP_MS		100
#define TELL_MS		5000

/*
 * Writers have this lock, whatever else they have; a vacuum has not.  $3 NULL: all
 * of them, else those of these transactions.
 */
static KvStatement select_writers = {
	"SELECT pg_catalog.array_agg(DISTINCT virtualtransaction),"
	" pg_catalog.string_agg(DISTINCT CASE WHEN pid IS NULL THEN 'a prepared transaction'"
	" ELSE pg_catalog.concat('process ', pid) END, ', ')"
	" FROM pg_catalog.pg_locks"
	" WHERE locktype OPERATOR(pg_catalog.=) 'relation' AND granted"
	" AND database OPERATOR(pg_catalog.=) $1"
	" AND relation OPERATOR(pg_catalog.=) $2"
	" AND mode OPERATOR(pg_catalog.=) 'RowExclusiveLock'"
	" AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
	" AND ($3 IS NULL OR virtualtransaction OPERATOR(pg_catalog.=) ANY ($3))",
	3, {OIDOID, OIDOID, TEXTARRAYOID}
};

typedef struct Writers
{
	bool		any;
	Datum		transactions;	/* text[] */
	char	   *names;			/* for messages */
} Writers;

/* Of the writers those that are still at it; at first all that there are. */
static void
look(Writers *writers)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[3];
	char		nulls[3] = {' ', ' ', writers->any ? ' ' : 'n'};
	HeapTuple	row;
	TupleDesc	columns;
	bool		isnull;
	Datum		transactions;

	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(kv_secret_table_oid());
	values[2] = writers->transactions;
	kv_spi_connect();
	(void) kv_statement_run_as_owner(&select_writers, values, nulls, 1);
	row = SPI_tuptable->vals[0];
	columns = SPI_tuptable->tupdesc;
	transactions = SPI_getbinval(row, columns, 1, &isnull);
	writers->any = !isnull;
	if (writers->any)
	{
		MemoryContextSwitchTo(caller);
		writers->transactions = PointerGetDatum(PG_DETOAST_DATUM_COPY(transactions));
		writers->names = SPI_getvalue(row, columns, 2);
	}
	SPI_finish();
}

static int
milliseconds_since(instr_time then)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, then);
	return (int) INSTR_TIME_GET_MILLISEC(now);
}

static void
tell(const Writers *writers)
{
	ereport(NOTICE,
			(errmsg("waiting for transactions that write API keys to end"),
			 errdetail("In the way: %s.", writers->names),
			 errhint("Nobody else waits for them. pg_terminate_backend() ends a session.")));
}

void
kv_secret_writers_wait(void)
{
	Writers		writers = {0};
	int			limit = LockTimeout > 0 ? LockTimeout : LIMIT_MS;
	int			told = -TELL_MS;
	int			waited;
	instr_time	started;

	INSTR_TIME_SET_CURRENT(started);
	for (look(&writers); writers.any; look(&writers))
	{
		waited = milliseconds_since(started);
		if (waited >= limit)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("transactions that write API keys did not end within %d ms", limit),
					 errdetail("In the way: %s.", writers.names),
					 errhint("Try again when they have ended. pg_terminate_backend() ends a session.")));
		if (waited - told >= TELL_MS)
		{
			tell(&writers);
			told = waited;
		}
		kv_nap(Min(NAP_MS, limit - waited));
	}
}
