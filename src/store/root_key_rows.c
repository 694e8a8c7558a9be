/*
 * root_key_rows.c
 *		The rows of key_vault_data.root_key_registry.
 *
 * Nothing here knows a root key, or where one is kept.
 *
 * Rows are read straight from the table: SPI would use the transaction's snapshot
 * in REPEATABLE READ, and seal with a root key that was replaced long ago.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/errors.h"
#include "store/locks.h"
#include "store/root_key_rows.h"
#include "store/secret_writers.h"
#include "store/statement.h"
#include "store/watched_table.h"

#define ID_LEN		KV_ROOT_KEY_ROW_ID_LEN
#define ID_HEX_LEN	(2 * KV_ROOT_KEY_ROW_ID_LEN)

/* Columns, in the order of the install script. */
enum
{
	COLUMN_ID = 1,
	COLUMN_CREATED_AT,
	COLUMN_ACTIVATED_AT,
	COLUMN_RETIRED_AT
};

static KvStatement insert_row = {
	.sql = "INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ($1, $2)",
	.nargs = 2,
	.argtypes = {TEXTOID, TIMESTAMPTZOID}
};

/* Later than every other one, also after the clock was set back. */
static KvStatement activate_row = {
	.sql = "UPDATE key_vault_data.root_key_registry SET activated_at = GREATEST("
	"pg_catalog.clock_timestamp(), "
	"(SELECT pg_catalog.max(r.activated_at) OPERATOR(pg_catalog.+) "
	"'1 microsecond'::pg_catalog.interval FROM key_vault_data.root_key_registry r)) "
	"WHERE id OPERATOR(pg_catalog.=) $1 AND retired_at IS NULL",
	.nargs = 1,
	.argtypes = {TEXTOID}
};

static KvStatement retire_row = {
	.sql = "UPDATE key_vault_data.root_key_registry "
	"SET retired_at = pg_catalog.clock_timestamp() "
	"WHERE id OPERATOR(pg_catalog.=) $1 AND retired_at IS NULL",
	.nargs = 1,
	.argtypes = {TEXTOID}
};

static KvStatement count_secrets = {
	.sql = "SELECT pg_catalog.count(*) FROM key_vault_data.secrets "
	"WHERE root_key_id OPERATOR(pg_catalog.=) $1",
	.nargs = 1,
	.argtypes = {TEXTOID}
};

static KvStatement count_others = {
	.sql = "SELECT (SELECT pg_catalog.count(*) FROM key_vault_data.sealed_records "
	"WHERE root_key_id OPERATOR(pg_catalog.=) $1) OPERATOR(pg_catalog.+) "
	"(SELECT pg_catalog.count(*) FROM key_vault_data.audit_keys "
	"WHERE root_key_id OPERATOR(pg_catalog.=) $1)",
	.nargs = 1,
	.argtypes = {TEXTOID}
};

static KvStatement any_replicas = {
	.sql = "SELECT FROM pg_catalog.pg_stat_replication "
	"UNION ALL SELECT FROM pg_catalog.pg_replication_slots "
	"WHERE slot_type OPERATOR(pg_catalog.=) 'physical'"
};

/* What every get and set asks for: which ids are registered, and which one is active. */
static struct
{
	uint64		changes;		/* of the registry before it was read; 0: it was not */
	int			count;
	uint8	  (*ids)[ID_LEN];	/* sorted */
	bool		any_active;
	uint8		active[ID_LEN];
}			registered = {0};

static KvWatchedTable registry = {.name = "root_key_registry"};

void
kv_root_key_rows_init(void)
{
	kv_watch_table(&registry);
}

static TimestampTz
timestamp_or_nobegin(HeapTuple tuple, int column, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static void
row_from_tuple(HeapTuple tuple, TupleDesc desc, KvRootKeyRow *row)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, COLUMN_ID, desc, &isnull);
	text	   *id = isnull ? NULL : DatumGetTextPP(value);

	if (id == NULL || VARSIZE_ANY_EXHDR(id) != ID_HEX_LEN)
		ereport(ERROR,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("table \"key_vault_data.root_key_registry\" holds what is not the id of a root key")));
	(void) hex_decode(VARDATA_ANY(id), ID_HEX_LEN, (char *) row->id);
	row->created_at = timestamp_or_nobegin(tuple, COLUMN_CREATED_AT, desc);
	row->activated_at = timestamp_or_nobegin(tuple, COLUMN_ACTIVATED_AT, desc);
	row->is_own_change = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	row->is_retired = timestamp_or_nobegin(tuple, COLUMN_RETIRED_AT, desc) != DT_NOBEGIN;
}

KvRootKeyRow *
kv_root_key_rows_read(int *count)
{
	Relation	table = kv_watched_table_open(&registry);
	int			room = 8;
	KvRootKeyRow *rows = palloc(room * sizeof(KvRootKeyRow));
	SysScanDesc scan;
	HeapTuple	tuple;

	/* NULL: a catalog snapshot, which is taken anew for each scan of a table. */
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	*count = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (*count == room)
		{
			room *= 2;
			rows = repalloc(rows, room * sizeof(KvRootKeyRow));
		}
		row_from_tuple(tuple, RelationGetDescr(table), &rows[(*count)++]);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return rows;
}

/* True when row is the better choice of an active root key. */
static bool
is_activated_later(const KvRootKeyRow *row, const KvRootKeyRow *than)
{
	if (row->activated_at != than->activated_at)
		return row->activated_at > than->activated_at;
	return memcmp(row->id, than->id, ID_LEN) > 0;
}

const KvRootKeyRow *
kv_root_key_rows_active(const KvRootKeyRow *rows, int count)
{
	const KvRootKeyRow *active = NULL;

	for (int i = 0; i < count; i++)
	{
		if (rows[i].is_retired || rows[i].activated_at == DT_NOBEGIN)
			continue;
		if (active == NULL || is_activated_later(&rows[i], active))
			active = &rows[i];
	}
	return active;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

static void
load_registered(void)
{
	int			count;
	KvRootKeyRow *rows;
	const KvRootKeyRow *active;
	uint8	  (*ids)[ID_LEN];
	/* of before, so that what changes meanwhile is not lost */
	uint64		changes = kv_watched_table_changes(&registry);

	rows = kv_root_key_rows_read(&count);
	ids = MemoryContextAlloc(TopMemoryContext, Max(count, 1) * ID_LEN);
	for (int i = 0; i < count; i++)
		memcpy(ids[i], rows[i].id, ID_LEN);
	qsort(ids, count, ID_LEN, compare_ids);
	active = kv_root_key_rows_active(rows, count);
	registered.any_active = active != NULL;
	if (active != NULL)
		memcpy(registered.active, active->id, ID_LEN);
	pfree(rows);

	if (registered.ids != NULL)
		pfree(registered.ids);
	registered.ids = ids;
	registered.count = count;
	registered.changes = changes;
}

static bool
registered_is_valid(void)
{
	return registered.changes == kv_watched_table_changes(&registry);
}

static bool
is_in_registered(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	return registered.count > 0 &&
		bsearch(id, registered.ids, registered.count, ID_LEN, compare_ids) != NULL;
}

bool
kv_root_key_row_registered(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	if (registered_is_valid() && is_in_registered(id))
		return true;
	load_registered();
	return is_in_registered(id);
}

/*
 * From memory, too: who changes the rows tells all others before letting go of the
 * lock on them.  So whoever retires a root key finds that all who have not been told
 * that another one is active hold their locks on secrets already, and waits for them.
 */
bool
kv_root_key_row_active(uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	AcceptInvalidationMessages();
	if (!registered_is_valid())
		load_registered();
	if (registered.any_active)
		memcpy(id, registered.active, ID_LEN);
	return registered.any_active;
}

/* Runs a statement as the owner; the id of a root key is its first argument. */
static uint64
run(KvStatement *statement, const uint8 *id, TimestampTz created_at)
{
	Datum		values[2] = {0};
	uint64		processed;

	SPI_connect();
	if (id != NULL)
	{
		char		hex[ID_HEX_LEN];

		(void) hex_encode((const char *) id, ID_LEN, hex);
		values[0] = PointerGetDatum(cstring_to_text_with_len(hex, ID_HEX_LEN));
		values[1] = TimestampTzGetDatum(created_at);
	}
	processed = kv_statement_run_as_owner(statement, values, NULL, 0);
	SPI_finish();
	return processed;
}

/* Runs a statement that must change exactly one row. */
static void
run_for_one_row(KvStatement *statement, const uint8 *id, TimestampTz created_at)
{
	/* A row that the lock showed us, but an older snapshot does not */
	if (run(statement, id, created_at) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to root keys due to concurrent change"),
				 errhint("Run the transaction again.")));
}

void
kv_root_key_rows_lock(void)
{
	kv_lock_for_transaction(KV_LOCK_ROOT_KEYS);
}

void
kv_root_key_row_insert(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN],
					   TimestampTz created_at)
{
	run_for_one_row(&insert_row, id, created_at);
}

void
kv_root_key_row_activate(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	run_for_one_row(&activate_row, id, 0);
}

void
kv_root_key_row_retire(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	run_for_one_row(&retire_row, id, 0);
}

/* A policy must make the count fail, not make it smaller. */
static int64
count_whole(KvStatement *statement, const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	Datum		values[1];
	char		hex[ID_HEX_LEN];
	bool		isnull;
	int64		count;

	SPI_connect();
	(void) hex_encode((const char *) id, ID_LEN, hex);
	values[0] = PointerGetDatum(cstring_to_text_with_len(hex, ID_HEX_LEN));
	(void) kv_statement_read_whole_as_owner(statement, values, NULL, 0);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return count;
}

/* Two statements: Citus does not count shards and tables of this node in one. */
int64
kv_root_key_count_secrets(const uint8 id[KV_ROOT_KEY_ROW_ID_LEN])
{
	/* The count would miss what was sealed after the transaction's snapshot. */
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("a root key cannot be retired at this isolation level"),
				 errhint("Use a READ COMMITTED transaction.")));
	kv_secret_writers_wait();
	return count_whole(&count_secrets, id) + count_whole(&count_others, id);
}

bool
kv_root_key_rows_have_replicas(void)
{
	return run(&any_replicas, NULL, 0) > 0;
}
