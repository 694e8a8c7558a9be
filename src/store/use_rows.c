/*
 * use_rows.c
 *		The SQL on key_vault_data.last_uses, and on both tables of uses at once.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/distribution.h"
#include "store/outcome_rows.h"
#include "store/secret_names.h"
#include "store/shards.h"
#include "store/statement.h"
#include "store/use_rows.h"

static KvStatement select_of_user = {
	"SELECT provider, label, version, set_at, uses, last_used_at AS at, NULL AS outcome"
	" FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1"
	" UNION ALL SELECT provider, label, version, set_at, NULL, recorded_at, outcome"
	" FROM key_vault_data.outcomes WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

#define OF_NAME \
	"user_id OPERATOR(pg_catalog.=) $1 AND provider OPERATOR(pg_catalog.=) $2" \
	" AND label OPERATOR(pg_catalog.=) $3"

static KvStatement lock_row = {
	"SELECT FROM key_vault_data.last_uses WHERE " OF_NAME " FOR UPDATE SKIP LOCKED",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_row = {
	"SELECT FROM key_vault_data.last_uses WHERE " OF_NAME,
	3, {TEXTOID, TEXTOID, TEXTOID}
};

/* An older version than the row is of is passed over. */
static KvStatement update_row = {
	"UPDATE key_vault_data.last_uses SET version = $4, set_at = $5,"
	" uses = $7 OPERATOR(pg_catalog.+)"
	" CASE WHEN set_at OPERATOR(pg_catalog.=) $5 THEN uses ELSE 0 END,"
	" last_used_at = GREATEST(last_used_at, $6)"
	" WHERE " OF_NAME " AND set_at OPERATOR(pg_catalog.<=) $5",
	7, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
};

#define OF_VERSION "FROM key_vault_data.secrets WHERE " OF_NAME \
	" AND version OPERATOR(pg_catalog.=) $4 AND created_at OPERATOR(pg_catalog.=) $5"

/* So that the secret, and its user, are not forgotten before the row is there. */
static KvStatement lock_version = {
	"SELECT " OF_VERSION " FOR KEY SHARE SKIP LOCKED",
	5, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
};

static KvStatement select_version = {
	"SELECT " OF_VERSION,
	5, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
};

static KvStatement insert_row = {
	"INSERT INTO key_vault_data.last_uses"
	" (user_id, provider, label, version, set_at, last_used_at, uses)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
	7, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
};

static KvStatement delete_of_name = {
	"DELETE FROM key_vault_data.last_uses WHERE " OF_NAME,
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_uses_of_user = {
	"SELECT FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static KvStatement delete_of_user = {
	"DELETE FROM key_vault_data.last_uses WHERE user_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* $1 is only there because the names are in those after it. */
#define GONE_LOCKED(table, columns, gone) \
	"WITH locked AS MATERIALIZED (SELECT u.* FROM key_vault_data." table " u, " KV_NAMES_IN_ARRAYS \
	" WHERE " KV_IS_SAME_NAME("u", "n") " AND $1" gone \
	" FOR UPDATE OF u SKIP LOCKED)" \
	" DELETE FROM key_vault_data." table " d USING locked l WHERE " KV_IS_SAME_NAME("d", "l") columns

#define IS_GONE \
	" AND NOT EXISTS (SELECT FROM key_vault_data.secrets s WHERE " KV_IS_SAME_NAME("s", "n") ")"

#define OF_RECORDER " AND d.recorded_by OPERATOR(pg_catalog.=) l.recorded_by"

#define NAMES_ARGUMENTS 4, {BOOLOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}

static KvStatement delete_gone_uses = {GONE_LOCKED("last_uses", "", IS_GONE), NAMES_ARGUMENTS};
static KvStatement delete_gone_outcomes = {GONE_LOCKED("outcomes", OF_RECORDER, IS_GONE), NAMES_ARGUMENTS};

/* Where Citus has the secrets, which it joins with no table of this node. */
static KvStatement delete_uses = {GONE_LOCKED("last_uses", "", ""), NAMES_ARGUMENTS};
static KvStatement delete_outcomes = {GONE_LOCKED("outcomes", OF_RECORDER, ""), NAMES_ARGUMENTS};

static KvStatement select_kept = {
	"SELECT DISTINCT n.place::pg_catalog.int4 FROM key_vault_data.secrets s,"
	" ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
	" WITH ORDINALITY AS n (user_id, provider, label, place)"
	" WHERE " KV_IS_SAME_NAME("s", "n") KV_IN_SHARD("s", "$1"),
	3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

/* A row of one of the tables: the outcome is NULL for one of uses. */
typedef struct Row
{
	text	   *provider;
	text	   *label;
	int32		version;
	TimestampTz set_at;
	int64		uses;
	TimestampTz at;
	text	   *outcome;
} Row;

struct KvUses
{
	text	   *user_id;
	uint64		count;
	Row			rows[FLEXIBLE_ARRAY_MEMBER];
};

static void
unpack(HeapTuple tuple, TupleDesc columns, Row *row)
{
	Datum		values[7];
	bool		nulls[7];

	heap_deform_tuple(tuple, columns, values, nulls);
	row->provider = DatumGetTextPCopy(values[0]);
	row->label = DatumGetTextPCopy(values[1]);
	row->version = DatumGetInt32(values[2]);
	row->set_at = DatumGetTimestampTz(values[3]);
	row->uses = nulls[4] ? 0 : DatumGetInt64(values[4]);
	row->at = DatumGetTimestampTz(values[5]);
	row->outcome = nulls[6] ? NULL : DatumGetTextPCopy(values[6]);
}

const KvUses *
kv_uses_read(text *user_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[1] = {PointerGetDatum(user_id)};
	uint64		count;
	KvUses	   *uses;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_of_user, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	uses = MemoryContextAllocHuge(caller, offsetof(KvUses, rows) + count * sizeof(Row));
	uses->user_id = user_id;
	uses->count = count;
	for (uint64 i = 0; i < count; i++)
		unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &uses->rows[i]);
	SPI_finish();
	return uses;
}

static bool
is_same(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* What the worker has not written yet. */
static void
add_counted(const KvUses *uses, const text *provider, const text *label, int32 version,
			TimestampTz set_at, KvUse *use)
{
	KvUsedKey	key = {uses->user_id, provider, label, version, set_at};
	int64		counted;
	TimestampTz used_at;

	if (!kv_use_counted(&key, use->last_used_at, &counted, &used_at))
		return;
	use->is_used = true;
	use->uses += counted;
	use->last_used_at = Max(use->last_used_at, used_at);
}

KvUse
kv_uses_of(const KvUses *uses, const text *provider, const text *label, int32 version,
		   TimestampTz set_at)
{
	KvUse		use = {0};

	for (uint64 i = 0; i < uses->count; i++)
	{
		const Row  *row = &uses->rows[i];

		if (row->version != version || row->set_at != set_at ||
			!is_same(row->provider, provider) || !is_same(row->label, label))
			continue;
		if (row->outcome == NULL)
		{
			use.is_used = true;
			use.last_used_at = row->at;
			use.uses = row->uses;
		}
		else if (use.outcome == NULL || use.outcome_at < row->at)
		{
			use.outcome = row->outcome;
			use.outcome_at = row->at;
		}
	}
	add_counted(uses, provider, label, version, set_at, &use);
	return use;
}

/* Whether the statement finds or changes something. */
static bool
finds(KvStatement *statement, Datum *values)
{
	return kv_statement_run_as_owner(statement, values, NULL, 0) > 0;
}

/*
 * What is there and cannot be locked is somebody's who will change or remove it.  A row that
 * is not there is nobody else's to insert: there is one worker.
 */
static bool
write_row(Datum *values)
{
	if (finds(&lock_row, values))
	{
		(void) kv_statement_run_as_owner(&update_row, values, NULL, 0);
		return true;
	}
	if (finds(&select_row, values))
		return false;
	if (finds(&lock_version, values))
	{
		(void) kv_statement_run_as_owner(&insert_row, values, NULL, 0);
		return true;
	}
	return !finds(&select_version, values);
}

bool
kv_use_row_write(const KvCountedUse *counted)
{
	const char *provider = counted->names + counted->user_id_len;
	Datum		values[7];
	bool		written;

	values[0] = PointerGetDatum(cstring_to_text_with_len(counted->names, counted->user_id_len));
	values[1] = PointerGetDatum(cstring_to_text_with_len(provider, counted->provider_len));
	values[2] = PointerGetDatum(cstring_to_text_with_len(provider + counted->provider_len,
														 counted->label_len));
	values[3] = Int32GetDatum(counted->version);
	values[4] = TimestampTzGetDatum(counted->set_at);
	values[5] = TimestampTzGetDatum(counted->used_at);
	values[6] = Int64GetDatum(counted->uses);
	kv_spi_connect();
	written = write_row(values);
	SPI_finish();
	return written;
}

void
kv_uses_delete(const KvSecretName *name)
{
	Datum		values[3];

	values[0] = PointerGetDatum(name->user_id);
	values[1] = PointerGetDatum(name->provider);
	values[2] = PointerGetDatum(name->label);
	(void) kv_statement_run_alone_as_owner(&delete_of_name, values);
	kv_outcome_rows_delete(name);
}

/* The worker may have written a row that the transaction's snapshot hides. */
static void
check_none_is_newer(Datum *values)
{
	uint64		left;

	if (!IsolationUsesXactSnapshot())
		return;
	kv_spi_connect();
	left = kv_statement_read_latest_as_owner(&select_uses_of_user, values, NULL, 1);
	SPI_finish();
	if (left > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to last uses due to later ones"),
				 errdetail("The transaction's snapshot hides some of the user's."),
				 errhint("Call key_vault.forget() in a READ COMMITTED transaction, or as the first call of one.")));
}

void
kv_uses_delete_user(text *user_id)
{
	Datum		values[1] = {PointerGetDatum(user_id)};

	(void) kv_statement_run_alone_as_owner(&delete_of_user, values);
	check_none_is_newer(values);
	kv_outcome_rows_delete_user(user_id);
}

/* Moves the names of which no version is left to the front; how many they are. */
static int
gone_first(KvSecretName *names, int count)
{
	bool	   *kept = palloc0(sizeof(bool) * Max(count, 1));
	int			gone = 0;
	Datum		arrays[3];
	uint64		found;
	bool		isnull;

	kv_secret_names_pack(names, count, arrays);
	kv_spi_connect();
	found = kv_statement_run_as_owner(&select_kept, arrays, NULL, 0);
	for (uint64 i = 0; i < found; i++)
		kept[DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)) - 1] = true;
	SPI_finish();
	for (int i = 0; i < count; i++)
	{
		if (!kept[i])
			names[gone++] = names[i];
	}
	return gone;
}

static void
delete_distributed(const KvSecretName *names, int count)
{
	KvSecretName *gone = palloc(sizeof(KvSecretName) * Max(count, 1));
	Datum		values[4] = {BoolGetDatum(true)};

	memcpy(gone, names, sizeof(KvSecretName) * count);
	kv_secret_names_pack(gone, gone_first(gone, count), &values[1]);
	(void) kv_statement_run_alone_as_owner(&delete_uses, values);
	(void) kv_statement_run_alone_as_owner(&delete_outcomes, values);
}

void
kv_uses_delete_gone(const KvSecretName *names, int count)
{
	Datum		values[4] = {BoolGetDatum(true)};

	if (kv_is_distributed())
	{
		delete_distributed(names, count);
		return;
	}
	kv_secret_names_pack(names, count, &values[1]);
	(void) kv_statement_run_alone_as_owner(&delete_gone_uses, values);
	(void) kv_statement_run_alone_as_owner(&delete_gone_outcomes, values);
}
