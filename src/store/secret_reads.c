/*
 * secret_reads.c
 *		What is read of key_vault_data.secrets, made of rows that come newest
 *		first.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/secret_plan.h"
#include "store/secret_reads.h"
#include "store/secret_scan.h"
#include "store/secret_table.h"
#include "store/use_rows.h"

/* One row, the first that comes. */
typedef struct Single
{
	KvSecretRow *row;
	TimestampTz created_at;
	bool		found;
} Single;

static bool
take_row(TupleTableSlot *slot, void *arg)
{
	Single	   *single = arg;

	kv_secret_table_unpack(slot, single->row);
	single->found = true;
	return false;
}

static bool
take_created_at(TupleTableSlot *slot, void *arg)
{
	Single	   *single = arg;
	bool		isnull;

	single->created_at = DatumGetTimestampTz(slot_getattr(slot, KV_SECRETS_CREATED_AT,
														  &isnull));
	single->found = true;
	return false;
}

/* The straight way where it is open, or else the planner's. */
static void
read_rows(const KvRange *range, KvColumns columns, KvVisit visit, void *arg)
{
	if (!kv_scan_as_caller(range, columns, visit, arg))
		kv_plan_read(range, columns, visit, arg);
}

bool
kv_secret_row_current(const KvSecretName *name, KvSecretRow *row)
{
	KvRange		range = {.kind = KV_RANGE_NAME, .name = *name};
	Single		single = {.row = row};

	read_rows(&range, KV_COLUMNS_OF_KEY, take_row, &single);
	return single.found;
}

bool
kv_secret_row_current_since(const KvSecretName *name, TimestampTz *since)
{
	KvRange		range = {.kind = KV_RANGE_NAME, .name = *name};
	Single		single = {0};

	read_rows(&range, KV_COLUMNS_OF_LIST, take_created_at, &single);
	*since = single.created_at;
	return single.found;
}

bool
kv_secret_row_version(const KvSecretName *name, int32 version, KvSecretRow *row)
{
	KvRange		range = {KV_RANGE_VERSION, *name, version};
	Single		single = {.row = row};

	read_rows(&range, KV_COLUMNS_OF_KEY, take_row, &single);
	return single.found;
}

static text *
text_of(TupleTableSlot *slot, int column)
{
	bool		isnull;

	return DatumGetTextPP(slot_getattr(slot, column, &isnull));
}

static bool
is_same(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* The newest row of each provider under one label. */
typedef struct OfUser
{
	KvSecretRow *rows;
	uint64		count;
	uint64		room;
} OfUser;

static bool
take_provider(TupleTableSlot *slot, void *arg)
{
	OfUser	   *taken = arg;
	text	   *provider = text_of(slot, KV_SECRETS_PROVIDER);
	KvSecretRow *row;

	if (taken->count > 0 && is_same(provider, taken->rows[taken->count - 1].provider))
		return true;
	if (taken->count == taken->room)
	{
		taken->room *= 2;
		taken->rows = repalloc_huge(taken->rows, taken->room * sizeof(KvSecretRow));
	}
	row = &taken->rows[taken->count++];
	kv_secret_table_unpack(slot, row);
	row->provider = DatumGetTextPCopy(PointerGetDatum(provider));
	return true;
}

uint64
kv_secret_rows_of_user(text *user_id, text *label, KvSecretRow **rows)
{
	KvRange		range = {KV_RANGE_USER_LABEL, {.user_id = user_id, .label = label}};
	OfUser		taken = {.room = 8};

	taken.rows = palloc(taken.room * sizeof(KvSecretRow));
	read_rows(&range, KV_COLUMNS_OF_KEY, take_provider, &taken);
	for (uint64 i = 0; i < taken.count / 2; i++)
	{
		KvSecretRow row = taken.rows[i];

		taken.rows[i] = taken.rows[taken.count - 1 - i];
		taken.rows[taken.count - 1 - i] = row;
	}
	*rows = taken.rows;
	return taken.count;
}

/* The newest row of each provider and label, as list() shows it. */
typedef struct Listed
{
	Datum		values[12];
	bool		nulls[12];
} Listed;

static text *
provider_of(const Listed *listed)
{
	return DatumGetTextPP(listed->values[0]);
}

static text *
label_of(const Listed *listed)
{
	return DatumGetTextPP(listed->values[1]);
}

static Datum
copy_of_text(TupleTableSlot *slot, int column, bool *isnull)
{
	Datum		value = slot_getattr(slot, column, isnull);

	return *isnull ? (Datum) 0 : PointerGetDatum(DatumGetTextPCopy(value));
}

static Datum
copy_of_attributes(TupleTableSlot *slot, bool *isnull)
{
	Datum		value = slot_getattr(slot, KV_SECRETS_ATTRIBUTES, isnull);

	return *isnull ? (Datum) 0 : PointerGetDatum(DatumGetJsonbPCopy(value));
}

static bool
take_listed(TupleTableSlot *slot, void *arg)
{
	List	  **all = arg;
	Listed	   *listed;
	bool		expired;

	if (*all != NIL &&
		is_same(text_of(slot, KV_SECRETS_PROVIDER), provider_of(llast(*all))) &&
		is_same(text_of(slot, KV_SECRETS_LABEL), label_of(llast(*all))))
		return true;

	listed = palloc0(sizeof(Listed));
	listed->values[0] = copy_of_text(slot, KV_SECRETS_PROVIDER, &listed->nulls[0]);
	listed->values[1] = copy_of_text(slot, KV_SECRETS_LABEL, &listed->nulls[1]);
	listed->values[2] = slot_getattr(slot, KV_SECRETS_VERSION, &listed->nulls[2]);
	listed->values[3] = copy_of_text(slot, KV_SECRETS_HINT, &listed->nulls[3]);
	listed->values[4] = slot_getattr(slot, KV_SECRETS_CREATED_AT, &listed->nulls[4]);
	listed->values[5] = slot_getattr(slot, KV_SECRETS_EXPIRES_AT, &listed->nulls[5]);
	expired = !listed->nulls[5] &&
		DatumGetTimestampTz(listed->values[5]) <= GetCurrentTimestamp();
	listed->values[6] = CStringGetTextDatum(expired ? "expired" : "active");
	listed->values[7] = copy_of_attributes(slot, &listed->nulls[7]);
	*all = lappend(*all, listed);
	return true;
}

/* What list() shows of how the key is used. */
static void
add_use(Listed *listed, const KvUses *uses)
{
	KvUse		use = kv_uses_of(uses, provider_of(listed), label_of(listed),
								 DatumGetInt32(listed->values[2]),
								 DatumGetTimestampTz(listed->values[4]));

	listed->values[8] = TimestampTzGetDatum(use.last_used_at);
	listed->nulls[8] = !use.is_used;
	listed->values[9] = Int64GetDatum(use.uses);
	listed->nulls[9] = !use.is_used;
	listed->values[10] = PointerGetDatum(use.outcome);
	listed->values[11] = TimestampTzGetDatum(use.outcome_at);
	listed->nulls[10] = listed->nulls[11] = use.outcome == NULL;
}

void
kv_secret_rows_list(text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	KvRange		range = {KV_RANGE_USER, {.user_id = user_id}};
	List	   *all = NIL;
	const KvUses *uses;

	read_rows(&range, KV_COLUMNS_OF_LIST, take_listed, &all);
	uses = kv_uses_read(user_id);
	for (int i = list_length(all) - 1; i >= 0; i--)
	{
		Listed	   *listed = list_nth(all, i);

		add_use(listed, uses);
		tuplestore_putvalues(result, columns, listed->values, listed->nulls);
	}
}

typedef struct Versions
{
	Tuplestorestate *result;
	TupleDesc	columns;
	bool		is_older;		/* than one that came before */
} Versions;

static bool
put_version(TupleTableSlot *slot, void *arg)
{
	Versions   *versions = arg;
	Datum		values[6];
	bool		nulls[6];

	values[0] = slot_getattr(slot, KV_SECRETS_VERSION, &nulls[0]);
	values[1] = slot_getattr(slot, KV_SECRETS_HINT, &nulls[1]);
	values[2] = slot_getattr(slot, KV_SECRETS_CREATED_AT, &nulls[2]);
	values[3] = slot_getattr(slot, KV_SECRETS_EXPIRES_AT, &nulls[3]);
	values[4] = BoolGetDatum(!versions->is_older);
	nulls[4] = false;
	values[5] = copy_of_attributes(slot, &nulls[5]);
	versions->is_older = true;
	tuplestore_putvalues(versions->result, versions->columns, values, nulls);
	return true;
}

void
kv_secret_rows_versions(const KvSecretName *name, Tuplestorestate *result,
						TupleDesc columns)
{
	KvRange		range = {.kind = KV_RANGE_NAME, .name = *name};
	Versions	versions = {.result = result, .columns = columns};

	read_rows(&range, KV_COLUMNS_OF_LIST, put_version, &versions);
}
