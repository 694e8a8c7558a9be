/*
 * secret_rows.c
 *		The SQL on key_vault.secrets.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/policy.h"
#include "store/secret_changes.h"
#include "store/secret_rows.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define NAME_MATCHES \
	" WHERE user_id OPERATOR(pg_catalog.=) $1" \
	" AND provider OPERATOR(pg_catalog.=) $2" \
	" AND label OPERATOR(pg_catalog.=) $3"

/* The columns that unpack_tuple() reads, in its order. */
#define SEALED_COLUMNS \
	"version, root_key_id, sealed, hint, expires_at, provider, created_at"

static KvStatement select_current = {
	"SELECT " SEALED_COLUMNS " FROM key_vault.secrets" NAME_MATCHES
	" ORDER BY version DESC LIMIT 1",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_version = {
	"SELECT " SEALED_COLUMNS " FROM key_vault.secrets" NAME_MATCHES
	" AND version OPERATOR(pg_catalog.=) $4",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement select_of_user = {
	"SELECT DISTINCT ON (provider) " SEALED_COLUMNS " FROM key_vault.secrets"
	" WHERE user_id OPERATOR(pg_catalog.=) $1"
	" AND label OPERATOR(pg_catalog.=) $2"
	" ORDER BY provider, version DESC",
	2, {TEXTOID, TEXTOID}
};

static KvStatement select_list = {
	"SELECT DISTINCT ON (provider, label)"
	" provider, label, version, hint, created_at, expires_at,"
	" CASE WHEN expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()"
	" THEN 'expired' ELSE 'active' END::pg_catalog.text"
	" FROM key_vault.secrets WHERE user_id OPERATOR(pg_catalog.=) $1"
	" ORDER BY provider, label, version DESC",
	1, {TEXTOID}
};

static KvStatement select_versions = {
	"SELECT version, hint, created_at, expires_at,"
	" pg_catalog.row_number() OVER (ORDER BY version DESC)"
	" OPERATOR(pg_catalog.=) 1"
	" FROM key_vault.secrets" NAME_MATCHES
	" ORDER BY version DESC",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_highest = {
	"SELECT version FROM key_vault.secrets" NAME_MATCHES
	" ORDER BY version DESC LIMIT 1",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement lock_version = {
	"SELECT FROM key_vault.secrets" NAME_MATCHES
	" AND version OPERATOR(pg_catalog.=) $4 FOR KEY SHARE",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement insert_row = {
	"INSERT INTO key_vault.secrets (user_id, provider, label, version,"
	" root_key_id, sealed, hint, expires_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (user_id, provider, label, version) DO NOTHING"
	" RETURNING *",
	8, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID}
};

static KvStatement delete_through = {
	"DELETE FROM key_vault.secrets" NAME_MATCHES
	" AND version OPERATOR(pg_catalog.<=) $4"
	" RETURNING *",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement delete_all = {
	"DELETE FROM key_vault.secrets" NAME_MATCHES " RETURNING *",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement delete_user = {
	"DELETE FROM key_vault.secrets WHERE user_id OPERATOR(pg_catalog.=) $1"
	" RETURNING *",
	1, {TEXTOID}
};

static void
name_values(const KvSecretName *name, Datum *values)
{
	values[0] = PointerGetDatum(name->user_id);
	values[1] = PointerGetDatum(name->provider);
	values[2] = PointerGetDatum(name->label);
}

/* One row of SEALED_COLUMNS, copied into context. */
static void
unpack_tuple(uint64 number, KvSecretRow *row, MemoryContext context)
{
	HeapTuple	tuple = SPI_tuptable->vals[number];
	TupleDesc	columns = SPI_tuptable->tupdesc;
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool		isnull;
	Datum		value;
	text	   *id;

	memset(row, 0, sizeof(*row));
	row->version = DatumGetInt32(SPI_getbinval(tuple, columns, 1, &isnull));
	id = DatumGetTextPP(SPI_getbinval(tuple, columns, 2, &isnull));
	if (VARSIZE_ANY_EXHDR(id) == KV_ROOT_KEY_ID_HEX)
		memcpy(row->root_key_id, VARDATA_ANY(id), KV_ROOT_KEY_ID_HEX);
	row->sealed = DatumGetByteaPCopy(SPI_getbinval(tuple, columns, 3, &isnull));
	value = SPI_getbinval(tuple, columns, 4, &isnull);
	if (!isnull)
		row->hint = DatumGetTextPCopy(value);
	value = SPI_getbinval(tuple, columns, 5, &isnull);
	row->has_expiry = !isnull;
	if (!isnull)
		row->expires_at = DatumGetTimestampTz(value);
	row->provider = DatumGetTextPCopy(SPI_getbinval(tuple, columns, 6, &isnull));
	row->created_at = DatumGetTimestampTz(SPI_getbinval(tuple, columns, 7, &isnull));
	MemoryContextSwitchTo(caller);
}

bool
kv_secret_row_current_by_plan(const KvSecretName *name, KvSecretRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[3];
	bool		found;

	name_values(name, values);
	kv_spi_connect();
	found = kv_statement_run(&select_current, values, NULL, 1) > 0;
	if (found)
		unpack_tuple(0, row, caller);
	SPI_finish();
	return found;
}

bool
kv_secret_row_current(const KvSecretName *name, KvSecretRow *row)
{
	switch (kv_secret_table_current(name, row))
	{
		case KV_STRAIGHT_FOUND:
			return true;
		case KV_STRAIGHT_NONE:
			return false;
		case KV_STRAIGHT_IMPOSSIBLE:
			break;
	}
	return kv_secret_row_current_by_plan(name, row);
}

bool
kv_secret_row_version(const KvSecretName *name, int32 version, KvSecretRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[4];
	bool		found;

	name_values(name, values);
	values[3] = Int32GetDatum(version);
	kv_spi_connect();
	found = kv_statement_run(&select_version, values, NULL, 1) > 0;
	if (found)
		unpack_tuple(0, row, caller);
	SPI_finish();
	return found;
}

uint64
kv_secret_rows_of_user(text *user_id, text *label, KvSecretRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[2] = {PointerGetDatum(user_id), PointerGetDatum(label)};
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run(&select_of_user, values, NULL, 0);
	*rows = MemoryContextAlloc(caller, sizeof(KvSecretRow) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
		unpack_tuple(i, &(*rows)[i], caller);
	SPI_finish();
	return count;
}

/* Hands the rows of the last statement to a set-returning function. */
static void
put_rows(Tuplestorestate *result, TupleDesc columns, uint64 count)
{
	Datum		values[16];
	bool		nulls[16];

	Assert(columns->natts <= lengthof(values));
	for (uint64 i = 0; i < count; i++)
	{
		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
						  values, nulls);
		tuplestore_putvalues(result, columns, values, nulls);
	}
}

void
kv_secret_rows_list(text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	kv_spi_connect();
	put_rows(result, columns, kv_statement_run(&select_list, values, NULL, 0));
	SPI_finish();
}

void
kv_secret_rows_versions(const KvSecretName *name, Tuplestorestate *result,
						TupleDesc columns)
{
	Datum		values[3];

	name_values(name, values);
	kv_spi_connect();
	put_rows(result, columns,
			 kv_statement_run(&select_versions, values, NULL, 0));
	SPI_finish();
}

void
kv_secret_rows_lock_for_write(void)
{
	LockRelationOid(kv_secret_table_oid(), RowExclusiveLock);
}

typedef uint64 (*Run) (KvStatement *statement, Datum *values, const char *nulls,
					   long limit);

static int32
highest_by_plan(const KvSecretName *name, Run run)
{
	Datum		values[3];
	int32		version = 0;
	bool		isnull;

	name_values(name, values);
	kv_spi_connect();
	if (run(&select_highest, values, NULL, 1) > 0)
		version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return version;
}

int32
kv_secret_rows_highest(const KvSecretName *name)
{
	int32		version;

	if (kv_secret_table_highest(name, &version) == KV_STRAIGHT_IMPOSSIBLE)
		version = highest_by_plan(name, kv_statement_run_as_owner);
	return version;
}

bool
kv_secret_rows_lock_version(const KvSecretName *name, int32 version)
{
	Datum		values[4];
	bool		found;

	name_values(name, values);
	values[3] = Int32GetDatum(version);
	kv_spi_connect();
	found = kv_statement_run_as_owner(&lock_version, values, NULL, 1) > 0;
	SPI_finish();
	return found;
}

static void
check_rows(char command, uint64 count)
{
	for (uint64 i = 0; i < count; i++)
		kv_secret_table_check_policy(command, SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc);
}

KvInsertResult
kv_secret_rows_insert(const KvSecretName *name, const KvSecretRow *row)
{
	Datum		values[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	uint64		count;

	if (kv_secret_insert_straight(name, row))
		return KV_INSERTED;
	name_values(name, values);
	values[3] = Int32GetDatum(row->version);
	values[4] = CStringGetTextDatum(row->root_key_id);
	values[5] = PointerGetDatum(row->sealed);
	values[6] = PointerGetDatum(row->hint);
	if (row->hint == NULL)
		nulls[6] = 'n';
	values[7] = TimestampTzGetDatum(row->expires_at);
	if (!row->has_expiry)
		nulls[7] = 'n';

	kv_spi_connect();
	count = kv_statement_run_as_owner(&insert_row, values, nulls, 0);
	check_rows(KV_POLICY_INSERT, count);
	SPI_finish();
	return count > 0 ? KV_INSERTED : KV_VERSION_TAKEN;
}

static uint64
delete_rows(KvStatement *statement, Datum *values)
{
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(statement, values, NULL, 0);
	check_rows(KV_POLICY_DELETE, count);
	SPI_finish();
	return count;
}

void
kv_secret_rows_delete_through(const KvSecretName *name, int32 version)
{
	Datum		values[4];

	if (kv_secret_trim_straight(name, version))
		return;
	name_values(name, values);
	values[3] = Int32GetDatum(version);
	(void) delete_rows(&delete_through, values);
}

/* Whether a higher version than this one is committed by now. */
static bool
is_overtaken(const KvSecretName *name, int32 version)
{
	int32		latest;

	if (kv_secret_table_latest(name, &latest) == KV_STRAIGHT_IMPOSSIBLE)
		latest = highest_by_plan(name, kv_statement_read_latest_as_owner);
	return latest > version;
}

bool
kv_secret_rows_settle(const KvSecretName *name, int32 stored, int32 version)
{
	bool		overtaken;

	if (kv_secret_settle_straight(name, stored, version, &overtaken))
		return !overtaken;
	if (is_overtaken(name, stored))
		return false;
	if (version > 0)
		kv_secret_rows_delete_through(name, version);
	return true;
}

uint64
kv_secret_rows_delete(const KvSecretName *name)
{
	Datum		values[3];

	name_values(name, values);
	return delete_rows(&delete_all, values);
}

uint64
kv_secret_rows_delete_user(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	return delete_rows(&delete_user, values);
}
