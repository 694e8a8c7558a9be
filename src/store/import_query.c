/*
 * import_query.c
 *		Runs the query of key_vault.import_keys().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/import_query.h"
#include "store/statement.h"

#define FETCH_ROWS 1000

enum
{
	COLUMN_USER = 1,
	COLUMN_PROVIDER,
	COLUMN_KEY,
	COLUMN_TIME
};

pg_noreturn static void
bad_query(const char *why)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("query cannot be imported: %s", why),
			 errhint("Pass a SELECT of user, provider, key and, if known, the time of change.")));
}

static text *
column_text(HeapTuple tuple, TupleDesc columns, int column)
{
	char	   *value = SPI_getvalue(tuple, columns, column);

	return value != NULL ? cstring_to_text(value) : NULL;
}

/*
 * Lets the query sort and hash in memory whatever its size, until the level that
 * is returned ends: temporary files would hold the keys in the clear.
 */
static int
keep_out_of_temporary_files(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("work_mem", "2147483647", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* A time in any of the types that tables keep it in. */
static TimestampTz
column_time(Datum value, Oid type)
{
	switch (type)
	{
		case TIMESTAMPTZOID:
			return DatumGetTimestampTz(value);
		case TIMESTAMPOID:
			return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, value));
		case DATEOID:
			return DatumGetTimestampTz(DirectFunctionCall1(date_timestamptz, value));
		default:
			return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
														   CStringGetDatum(TextDatumGetCString(value)),
														   ObjectIdGetDatum(InvalidOid),
														   Int32GetDatum(-1)));
	}
}

static void
check_columns(TupleDesc columns)
{
	Oid			type;

	if (columns->natts < COLUMN_KEY || columns->natts > COLUMN_TIME)
		bad_query(psprintf("it returns %d columns", columns->natts));
	if (columns->natts < COLUMN_TIME)
		return;
	type = SPI_gettypeid(columns, COLUMN_TIME);
	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID &&
		type != TEXTOID && type != VARCHAROID)
		bad_query("its fourth column is no time");
}

static void
unpack(HeapTuple tuple, TupleDesc columns, KvImportRow *row)
{
	bool		isnull;
	Datum		value;

	row->user_id = column_text(tuple, columns, COLUMN_USER);
	row->provider = column_text(tuple, columns, COLUMN_PROVIDER);
	row->key = NULL;
	row->encrypted = NULL;
	row->has_time = false;

	value = SPI_getbinval(tuple, columns, COLUMN_KEY, &isnull);
	if (!isnull && SPI_gettypeid(columns, COLUMN_KEY) == BYTEAOID)
		row->encrypted = DatumGetByteaPP(value);
	else if (!isnull)
		row->key = column_text(tuple, columns, COLUMN_KEY);

	if (columns->natts < COLUMN_TIME)
		return;
	value = SPI_getbinval(tuple, columns, COLUMN_TIME, &isnull);
	row->has_time = !isnull;
	if (!isnull)
		row->changed_at = column_time(value, SPI_gettypeid(columns, COLUMN_TIME));
}

static void
wipe_key(KvImportRow *row)
{
	if (row->key != NULL)
		explicit_bzero(VARDATA(row->key), VARSIZE(row->key) - VARHDRSZ);
	row->key = NULL;
}

/* Hands on one batch; each row's memory is gone when the consumer returns. */
static void
consume_batch(SPITupleTable *batch, uint64 count, KvImportRow *row,
			  KvImportConsumer consumer, void *state)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "key_vault import row",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		for (uint64 i = 0; i < count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextSwitchTo(row_context);
			row->number++;
			unpack(batch->vals[i], batch->tupdesc, row);
			consumer(row, state);
			wipe_key(row);
			MemoryContextSwitchTo(caller);
			MemoryContextReset(row_context);
		}
	}
	PG_CATCH();
	{
		wipe_key(row);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextDelete(row_context);
}

void
kv_import_query_run(const char *query, KvImportConsumer consumer, void *state)
{
	KvImportRow row = {0};
	SPIPlanPtr	plan;
	Portal		portal;
	int			level;

	kv_spi_connect();
	level = keep_out_of_temporary_files();
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		bad_query("it is not one SELECT");
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	check_columns(portal->tupDesc);
	for (;;)
	{
		uint64		count;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		count = SPI_processed;
		if (count == 0)
			break;
		consume_batch(SPI_tuptable, count, &row, consumer, state);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	AtEOXact_GUC(true, level);
	SPI_finish();
}
