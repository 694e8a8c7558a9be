/*
 * audit_rows.c
 *		The SQL of the audit's records.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/audit_bytes.h"
#include "store/audit_rows.h"
#include "store/audit_writes.h"
#include "store/statement.h"

#define COLUMNS \
	"number, at, action, outcome, user_id, provider, label, version, subject, role," \
	" application_name, client_addr, backend_pid, backend_start, sqlstate, user_hash, mac," \
	" team_id, team_hash"

/* An array for each column. */
#define UNNEST(n) "pg_catalog.unnest($" #n ")"
static KvStatement insert_rows = {
	"INSERT INTO key_vault_data.audit (" COLUMNS ") SELECT * FROM ROWS FROM ("
	UNNEST(1) ", " UNNEST(2) ", " UNNEST(3) ", " UNNEST(4) ", " UNNEST(5) ", " UNNEST(6) ", "
	UNNEST(7) ", " UNNEST(8) ", " UNNEST(9) ", " UNNEST(10) ", " UNNEST(11) ", " UNNEST(12) ", "
	UNNEST(13) ", " UNNEST(14) ", " UNNEST(15) ", " UNNEST(16) ", " UNNEST(17) ", " UNNEST(18) ", "
	UNNEST(19) ")",
	KV_AUDIT_COLUMNS, {INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	TEXTARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, BYTEAARRAYOID, BYTEAARRAYOID,
	TEXTARRAYOID, BYTEAARRAYOID}
};

static KvStatement select_head = {
	"SELECT number, at, mac FROM key_vault_data.audit ORDER BY number DESC LIMIT 1",
	0
};

static KvStatement select_first = {
	"SELECT number, at, mac FROM key_vault_data.audit ORDER BY number LIMIT 1",
	0
};

static KvStatement select_after = {
	"SELECT " COLUMNS " FROM key_vault_data.audit"
	" WHERE number OPERATOR(pg_catalog.>) $1 ORDER BY number LIMIT $2",
	2, {INT8OID, INT8OID}
};

static KvStatement select_history = {
	"SELECT at, action, outcome, provider, label, version, role, application_name,"
	" client_addr, sqlstate FROM key_vault_data.audit"
	" WHERE user_id OPERATOR(pg_catalog.=) $1"
	" AND at OPERATOR(pg_catalog.>=) (SELECT pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $2)"
	" ORDER BY number DESC",
	2, {TEXTOID, INTERVALOID}
};

static KvStatement forget_user = {
	"UPDATE key_vault_data.audit SET user_id = NULL WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement forget_team = {
	"UPDATE key_vault_data.audit SET team_id = NULL WHERE team_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement select_of_user = {
	"SELECT FROM key_vault_data.audit WHERE user_id OPERATOR(pg_catalog.=) $1"
	" OR team_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* Locked in order: the first that others keep locked leaves a gap. */
static KvStatement lock_first = {
	"SELECT number, at, mac FROM key_vault_data.audit ORDER BY number LIMIT $1"
	" FOR UPDATE SKIP LOCKED",
	1, {INT8OID}
};

static KvStatement delete_through = {
	"DELETE FROM key_vault_data.audit WHERE number OPERATOR(pg_catalog.<=) $1",
	1, {INT8OID}
};

/* One column of all rows. */
typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
} Column;

static Datum
array_of(const Column *column, Oid type, int16 len, bool by_value, char align)
{
	int			count = column->count;
	int			first = 1;

	return PointerGetDatum(construct_md_array(column->values, column->nulls, 1, &count, &first,
											  type, len, by_value, align));
}

static void
put_text(Column *column, int row, const char *value)
{
	column->nulls[row] = value == NULL;
	column->values[row] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

#define TEXT_COLUMN(at, member) \
	do { \
		for (int i = 0; i < count; i++) \
			put_text(&column, i, rows[i].member); \
		values[at] = array_of(&column, TEXTOID, -1, false, TYPALIGN_INT); \
	} while (0)

#define FIXED_COLUMN(at, type, len, align, is_null, value) \
	do { \
		for (int i = 0; i < count; i++) \
		{ \
			column.nulls[i] = (is_null); \
			column.values[i] = (value); \
		} \
		values[at] = array_of(&column, type, len, true, align); \
	} while (0)

#define BYTES_COLUMN(at, is_null, member) \
	do { \
		for (int i = 0; i < count; i++) \
		{ \
			column.nulls[i] = (is_null); \
			column.values[i] = kv_audit_bytes_datum(rows[i].member, sizeof(rows[i].member)); \
		} \
		values[at] = array_of(&column, BYTEAOID, -1, false, TYPALIGN_INT); \
	} while (0)

void
kv_audit_rows_insert(const KvAuditRow *rows, int count)
{
	Column		column;
	Datum		values[KV_AUDIT_COLUMNS];

	if (kv_audit_rows_insert_straight(rows, count))
		return;
	column = (Column){palloc(sizeof(Datum) * count), palloc(sizeof(bool) * count), count};

	FIXED_COLUMN(0, INT8OID, 8, TYPALIGN_DOUBLE, false, Int64GetDatum(rows[i].number));
	FIXED_COLUMN(1, TIMESTAMPTZOID, 8, TYPALIGN_DOUBLE, false, TimestampTzGetDatum(rows[i].at));
	TEXT_COLUMN(2, action);
	TEXT_COLUMN(3, outcome);
	TEXT_COLUMN(4, user_id);
	TEXT_COLUMN(5, provider);
	TEXT_COLUMN(6, label);
	FIXED_COLUMN(7, INT4OID, 4, TYPALIGN_INT, rows[i].version == 0, Int32GetDatum(rows[i].version));
	TEXT_COLUMN(8, subject);
	TEXT_COLUMN(9, role);
	TEXT_COLUMN(10, application_name);
	TEXT_COLUMN(11, client_addr);
	FIXED_COLUMN(12, INT4OID, 4, TYPALIGN_INT, false, Int32GetDatum(rows[i].pid));
	FIXED_COLUMN(13, TIMESTAMPTZOID, 8, TYPALIGN_DOUBLE, false, TimestampTzGetDatum(rows[i].backend_start));
	TEXT_COLUMN(14, sqlstate);
	BYTES_COLUMN(15, !rows[i].has_user_hash, user_hash);
	BYTES_COLUMN(16, false, mac);
	TEXT_COLUMN(17, team_id);
	BYTES_COLUMN(18, !rows[i].has_team_hash, team_hash);
	(void) kv_statement_run_alone_as_owner(&insert_rows, values);
}

static void
unpack_head(HeapTuple tuple, TupleDesc columns, KvAuditHead *head)
{
	Datum		values[4];
	bool		nulls[4];

	heap_deform_tuple(tuple, columns, values, nulls);
	head->number = DatumGetInt64(values[0]);
	head->at = DatumGetTimestampTz(values[1]);
	(void) kv_audit_copy_bytes(values[2], nulls[2], head->mac, sizeof(head->mac));
}

void
kv_audit_rows_head(KvAuditHead *head)
{
	KvAuditCheckpoint checkpoint;

	memset(head, 0, sizeof(*head));
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_head, NULL, NULL, 1) > 0)
		unpack_head(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, head);
	SPI_finish();
	if (head->number > 0 || !kv_audit_checkpoint_read(&checkpoint))
		return;
	head->number = checkpoint.number;
	head->at = checkpoint.at;
	memcpy(head->mac, checkpoint.mac, sizeof(head->mac));
}

bool
kv_audit_rows_first(int64 *number)
{
	KvAuditHead first;
	bool		found;

	kv_spi_connect();
	found = kv_statement_run_as_owner(&select_first, NULL, NULL, 1) > 0;
	if (found)
		unpack_head(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, &first);
	SPI_finish();
	if (found)
		*number = first.number;
	return found;
}

static const char *
text_or_null(Datum value, bool isnull)
{
	return isnull ? NULL : TextDatumGetCString(value);
}

static void
unpack_row(HeapTuple tuple, TupleDesc columns, KvAuditRow *row)
{
	Datum		values[KV_AUDIT_COLUMNS];
	bool		nulls[KV_AUDIT_COLUMNS];

	heap_deform_tuple(tuple, columns, values, nulls);
	row->number = DatumGetInt64(values[0]);
	row->at = DatumGetTimestampTz(values[1]);
	row->action = text_or_null(values[2], nulls[2]);
	row->outcome = text_or_null(values[3], nulls[3]);
	row->user_id = text_or_null(values[4], nulls[4]);
	row->provider = text_or_null(values[5], nulls[5]);
	row->label = text_or_null(values[6], nulls[6]);
	row->version = nulls[7] ? 0 : DatumGetInt32(values[7]);
	row->subject = text_or_null(values[8], nulls[8]);
	row->role = text_or_null(values[9], nulls[9]);
	row->application_name = text_or_null(values[10], nulls[10]);
	row->client_addr = text_or_null(values[11], nulls[11]);
	row->pid = DatumGetInt32(values[12]);
	row->backend_start = DatumGetTimestampTz(values[13]);
	row->sqlstate = text_or_null(values[14], nulls[14]);
	row->has_user_hash = kv_audit_copy_bytes(values[15], nulls[15], row->user_hash, sizeof(row->user_hash));
	(void) kv_audit_copy_bytes(values[16], nulls[16], row->mac, sizeof(row->mac));
	row->team_id = text_or_null(values[17], nulls[17]);
	row->has_team_hash = kv_audit_copy_bytes(values[18], nulls[18], row->team_hash, sizeof(row->team_hash));
}

int
kv_audit_rows_after(int64 number, int limit, KvAuditRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(number), Int64GetDatum(limit)};
	int			count;

	kv_spi_connect();
	count = (int) kv_statement_find_as_owner(&select_after, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc(sizeof(KvAuditRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
		unpack_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	SPI_finish();
	return count;
}

void
kv_audit_rows_history(text *user_id, const Interval *within, Tuplestorestate *result)
{
	Datum		values[2] = {PointerGetDatum(user_id), PointerGetDatum(within)};
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_history, values, NULL, 0);
	for (uint64 i = 0; i < count; i++)
		tuplestore_puttuple(result, SPI_tuptable->vals[i]);
	SPI_finish();
}

void
kv_audit_rows_forget(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};
	uint64		left = 0;

	(void) kv_statement_run_alone_as_owner(&forget_user, values);
	(void) kv_statement_run_alone_as_owner(&forget_team, values);
	if (!IsolationUsesXactSnapshot())
		return;
	kv_spi_connect();
	left = kv_statement_read_latest_as_owner(&select_of_user, values, NULL, 1);
	SPI_finish();
	if (left > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to audit records due to later calls"),
				 errdetail("The transaction's snapshot hides records of the user."),
				 errhint("Call key_vault.forget() in a READ COMMITTED transaction, or as the first call of one.")));
}

int
kv_audit_rows_outdated(TimestampTz before, int limit, KvAuditHead *last)
{
	Datum		values[1] = {Int64GetDatum(limit)};
	int			count;
	int			outdated = 0;

	memset(last, 0, sizeof(*last));
	kv_spi_connect();
	count = (int) kv_statement_find_as_owner(&lock_first, values, NULL, 0);
	for (int i = 0; i < count; i++)
	{
		KvAuditHead head;

		unpack_head(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &head);
		if (head.at >= before || (i > 0 && head.number != last->number + 1))
			break;
		*last = head;
		outdated++;
	}
	SPI_finish();
	return outdated;
}

void
kv_audit_rows_remove(const KvAuditCheckpoint *checkpoint)
{
	Datum		values[1] = {Int64GetDatum(checkpoint->number)};

	kv_audit_checkpoint_store(checkpoint);
	(void) kv_statement_run_alone_as_owner(&delete_through, values);
}
