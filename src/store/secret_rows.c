/*
 * secret_rows.c
 *		The SQL that writes key_vault_data.secrets.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/distribution.h"
#include "store/policy.h"
#include "store/secret_access.h"
#include "store/secret_changes.h"
#include "store/secret_rows.h"
#include "store/secret_scan.h"
#include "store/secret_table.h"
#include "store/statement.h"

#define NAME_MATCHES \
	" WHERE user_id OPERATOR(pg_catalog.=) $1" \
	" AND provider OPERATOR(pg_catalog.=) $2" \
	" AND label OPERATOR(pg_catalog.=) $3"

static KvStatement select_highest = {
	"SELECT version FROM key_vault_data.secrets" NAME_MATCHES
	" ORDER BY version DESC LIMIT 1",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement lock_version = {
	"SELECT FROM key_vault_data.secrets" NAME_MATCHES
	" AND version OPERATOR(pg_catalog.=) $4 FOR KEY SHARE",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement insert_row = {
	"INSERT INTO key_vault_data.secrets (user_id, provider, label, version,"
	" root_key_id, sealed, hint, expires_at, attributes)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	" ON CONFLICT (user_id, provider, label, version) DO NOTHING"
	" RETURNING *",
	9, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID, JSONBOID}
};

static KvStatement delete_through = {
	"DELETE FROM key_vault_data.secrets" NAME_MATCHES
	" AND version OPERATOR(pg_catalog.<=) $4"
	" RETURNING *",
	4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static KvStatement delete_all = {
	"DELETE FROM key_vault_data.secrets" NAME_MATCHES " RETURNING *",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement delete_user = {
	"DELETE FROM key_vault_data.secrets WHERE user_id OPERATOR(pg_catalog.=) $1"
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

void
kv_secret_rows_lock_for_write(void)
{
	/* before anything else is said to be missing, that is not here either */
	kv_distribution_refuse_worker();
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

	if (kv_scan_highest(name, &version) == KV_STRAIGHT_IMPOSSIBLE)
		version = highest_by_plan(name, kv_statement_run_as_owner);
	return version;
}

KvSecretLook
kv_secret_rows_look(const KvSecretName *name, int32 keep)
{
	KvSecretLook look = {0};

	if (!kv_scan_look(name, keep, &look))
		look.highest = highest_by_plan(name, kv_statement_run_as_owner);
	return look;
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
		kv_access_check_policy(command, SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc);
}

KvInsertResult
kv_secret_rows_insert(const KvSecretName *name, const KvSecretRow *row)
{
	Datum		values[9];
	char		nulls[9] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
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
	values[8] = PointerGetDatum(row->attributes);
	if (row->attributes == NULL)
		nulls[8] = 'n';

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

	if (kv_scan_latest(name, &latest) == KV_STRAIGHT_IMPOSSIBLE)
		latest = highest_by_plan(name, kv_statement_read_latest_as_owner);
	return latest > version;
}

bool
kv_secret_rows_settle(const KvSecretName *name, int32 stored, int32 version,
					  const KvSecretLook *look)
{
	bool		overtaken;

	if (kv_secret_settle_as_seen(look))
		return true;
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
