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
#include "utils/lsyscache.h"
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
	COLUMN_TIME,
	COLUMN_ATTRIBUTES
};

pg_noreturn static void
bad_query(const char *why)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("query cannot be imported: %s", why),
			 errhint("Pass a SELECT of user, provider, key and, if known, the time of change and the attributes.")));
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

/* Whether a SQLSTATE begins with these two characters. */
static bool
is_of_class(int code, const char *class)
{
	return strncmp(unpack_sql_state(code), class, 2) == 0;
}

/*
 * Reads a time from text; false when it is none.  The error of timestamptz_in quotes
 * the text, which is the key when columns are in the wrong order.  It leaves nothing
 * behind that a subtransaction would have to clean up.
 */
static bool
time_from_text(Datum value, TimestampTz *time)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *string = TextDatumGetCString(value);
	volatile bool is_time = true;

	PG_TRY();
	{
		*time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
														CStringGetDatum(string),
														ObjectIdGetDatum(InvalidOid),
														Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		if (!is_of_class(geterrcode(), "22"))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		is_time = false;
	}
	PG_END_TRY();
	explicit_bzero(string, strlen(string));
	return is_time;
}

/*
 * Reads attributes from text; false when that is no JSON, in the manner of the above: the
 * error of jsonb_in quotes the text.
 */
static bool
attributes_from_text(char *string, Jsonb **attributes)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool are_json = true;

	PG_TRY();
	{
		*attributes = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string)));
	}
	PG_CATCH();
	{
		if (!is_of_class(geterrcode(), "22") && geterrcode() != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		are_json = false;
	}
	PG_END_TRY();
	explicit_bzero(string, strlen(string));
	return are_json;
}

/* A time in any of the types that tables keep it in; false when it cannot be read. */
static bool
column_time(Datum value, Oid type, TimestampTz *time)
{
	switch (type)
	{
		case TIMESTAMPTZOID:
			*time = DatumGetTimestampTz(value);
			return true;
		case TIMESTAMPOID:
			*time = DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, value));
			return true;
		case DATEOID:
			*time = DatumGetTimestampTz(DirectFunctionCall1(date_timestamptz, value));
			return true;
		default:
			return time_from_text(value, time);
	}
}

/* Keys are text: times, numbers and the like stand in other columns. */
static void
check_key_column(Oid type)
{
	char		category;
	bool		is_preferred;

	get_type_category_preferred(getBaseType(type), &category, &is_preferred);
	if (category == TYPCATEGORY_DATETIME || category == TYPCATEGORY_TIMESPAN ||
		category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_BOOLEAN)
		bad_query(psprintf("its third column, the key, is of type %s", format_type_be(type)));
}

static void
check_columns(TupleDesc columns)
{
	Oid			type;

	if (columns->natts < COLUMN_KEY || columns->natts > COLUMN_ATTRIBUTES)
		bad_query(psprintf("it returns %d columns", columns->natts));
	check_key_column(SPI_gettypeid(columns, COLUMN_KEY));
	if (columns->natts < COLUMN_TIME)
		return;
	type = SPI_gettypeid(columns, COLUMN_TIME);
	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID &&
		type != TEXTOID && type != VARCHAROID)
		bad_query("its fourth column is no time");
	if (columns->natts < COLUMN_ATTRIBUTES)
		return;
	type = SPI_gettypeid(columns, COLUMN_ATTRIBUTES);
	if (type != JSONBOID && type != JSONOID && type != TEXTOID && type != VARCHAROID)
		bad_query("its fifth column, the attributes, is of type neither jsonb, json nor text");
}

static void
unpack_attributes(HeapTuple tuple, TupleDesc columns, KvImportRow *row)
{
	bool		isnull;
	Datum		value;

	if (columns->natts < COLUMN_ATTRIBUTES)
		return;
	value = SPI_getbinval(tuple, columns, COLUMN_ATTRIBUTES, &isnull);
	if (!isnull && SPI_gettypeid(columns, COLUMN_ATTRIBUTES) == JSONBOID)
		row->attributes = DatumGetJsonbP(value);
	else if (!isnull)
		row->has_bad_attributes = !attributes_from_text(SPI_getvalue(tuple, columns, COLUMN_ATTRIBUTES),
														&row->attributes);
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
	row->has_bad_time = false;
	row->attributes = NULL;
	row->has_bad_attributes = false;

	value = SPI_getbinval(tuple, columns, COLUMN_KEY, &isnull);
	if (!isnull && SPI_gettypeid(columns, COLUMN_KEY) == BYTEAOID)
		row->encrypted = DatumGetByteaPP(value);
	else if (!isnull)
		row->key = column_text(tuple, columns, COLUMN_KEY);

	if (columns->natts < COLUMN_TIME)
		return;
	value = SPI_getbinval(tuple, columns, COLUMN_TIME, &isnull);
	row->has_bad_time = !isnull &&
		!column_time(value, SPI_gettypeid(columns, COLUMN_TIME), &row->changed_at);
	row->has_time = !isnull && !row->has_bad_time;
	unpack_attributes(tuple, columns, row);
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

/*
 * Whether an error's message is about names, rights or the server.  Others quote what
 * they are about: a value that is no date, a row that is there twice, the text where
 * the syntax is wrong, what RAISE says.
 */
static bool
quotes_no_data(int code)
{
	static const char *const classes[] = {"08", "25", "40", "42", "53", "54", "55", "57", "58"};

	for (size_t i = 0; i < lengthof(classes); i++)
	{
		if (is_of_class(code, classes[i]))
			return strcmp(unpack_sql_state(code), "42601") != 0;
	}
	return false;
}

static void
wipe_string(char *string)
{
	if (string != NULL)
		explicit_bzero(string, strlen(string));
}

/* Raises the query's own error again, without what may hold a key. */
pg_noreturn static void
rethrow_without_data(MemoryContext caller)
{
	ErrorData  *problem;

	MemoryContextSwitchTo(caller);
	problem = CopyErrorData();
	FlushErrorState();
	/* the query's text, and the values of parameters in functions that it calls */
	wipe_string(problem->internalquery);
	wipe_string(problem->context);
	problem->internalquery = NULL;
	problem->internalpos = 0;
	problem->context = NULL;
	if (quotes_no_data(problem->sqlerrcode))
		ReThrowError(problem);
	wipe_string(problem->message);
	wipe_string(problem->detail);
	wipe_string(problem->detail_log);
	wipe_string(problem->hint);
	ereport(ERROR,
			(errcode(problem->sqlerrcode),
			 errmsg("query of key_vault.import_keys() failed"),
			 errdetail("The server's message is not shown: it may quote a key."),
			 errhint("Run the query by itself, with the same rights, to see it.")));
}

/* NULL when it is not one SELECT. */
static Portal
open_query(const char *query)
{
	MemoryContext caller = CurrentMemoryContext;
	Portal volatile portal = NULL;

	PG_TRY();
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);

		if (plan != NULL && SPI_is_cursor_plan(plan))
			portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	}
	PG_CATCH();
	{
		rethrow_without_data(caller);
	}
	PG_END_TRY();
	return portal;
}

/* How many rows came. */
static uint64
fetch(Portal portal)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
	}
	PG_CATCH();
	{
		rethrow_without_data(caller);
	}
	PG_END_TRY();
	return SPI_processed;
}

void
kv_import_query_run(const char *query, KvImportConsumer consumer, void *state)
{
	KvImportRow row = {0};
	Portal		portal;
	uint64		count;
	int			level;

	kv_spi_connect();
	level = keep_out_of_temporary_files();
	portal = open_query(query);
	if (portal == NULL)
		bad_query("it is not one SELECT");
	check_columns(portal->tupDesc);
	while ((count = fetch(portal)) > 0)
	{
		consume_batch(SPI_tuptable, count, &row, consumer, state);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	AtEOXact_GUC(true, level);
	SPI_finish();
}
