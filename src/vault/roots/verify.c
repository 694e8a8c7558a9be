/*
 * verify.c
 *		Tries whether secrets open, of all users, and wipes what it opened at once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "store/verify_rows.h"
#include "vault/roots/keyring.h"
#include "vault/roots/records.h"
#include "vault/roots/verify.h"

#define BATCH_ROWS 1000
#define SAMPLED_BATCHES 5
#define FEW_ROWS 10000			/* so many are tried without a sample */
#define GROUPS_MAX 20			/* of what does not open */

/* What becomes of a row that does not open. */
typedef struct Findings
{
	void		(*add) (struct Findings *findings, const KvRotationRow *row, const KvObstacle *why);
	MemoryContext context;		/* that outlives a batch */
	KvSoundness soundness;
	Tuplestorestate *result;
	TupleDesc	columns;
} Findings;

static void
try_rows(Findings *findings, const KvRotationRow *rows, int count)
{
	for (int i = 0; i < count; i++)
	{
		KvObstacle	why;
		text	   *api_key;

		CHECK_FOR_INTERRUPTS();
		api_key = kv_try_open(&rows[i].name, &rows[i].row, &why);
		findings->soundness.tried++;
		if (api_key == NULL)
		{
			findings->soundness.unopened++;
			findings->add(findings, &rows[i], &why);
			continue;
		}
		explicit_bzero(VARDATA(api_key), VARSIZE(api_key) - VARHDRSZ);
		pfree(api_key);
	}
}

/*
 * Tries the rows along the primary key until there are no more, or so many were
 * tried.  Of each batch only the last row outlives it, until the next one is read.
 */
static void
try_in_order(Findings *findings, int64 most)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batches[2];
	const KvRotationRow *after = NULL;
	int			count;

	for (int i = 0; i < 2; i++)
		batches[i] = AllocSetContextCreate(caller, "key_vault secrets to try",
										   ALLOCSET_DEFAULT_SIZES);
	for (int turn = 0;; turn = 1 - turn)
	{
		KvRotationRow *rows;

		MemoryContextSwitchTo(batches[turn]);
		count = kv_verify_rows_next(after, BATCH_ROWS, &rows);
		MemoryContextReset(batches[1 - turn]);
		try_rows(findings, rows, count);
		MemoryContextSwitchTo(caller);
		if (count < BATCH_ROWS || findings->soundness.tried >= most)
			break;
		after = &rows[count - 1];
	}
	for (int i = 0; i < 2; i++)
		MemoryContextDelete(batches[i]);
}

/* Tries rows from all over the table. */
static void
try_at_random(Findings *findings)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "key_vault secrets to try",
												ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < SAMPLED_BATCHES; i++)
	{
		KvRotationRow *rows;
		int			count;

		MemoryContextSwitchTo(batch);
		count = kv_verify_rows_draw((float4) (100.0 * BATCH_ROWS / findings->soundness.estimated),
									BATCH_ROWS, &rows);
		try_rows(findings, rows, count);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(batch);
	}
	MemoryContextDelete(batch);
}

static void
put_into_result(Findings *findings, const KvRotationRow *row, const KvObstacle *why)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = PointerGetDatum(row->name.user_id);
	values[1] = PointerGetDatum(row->name.provider);
	values[2] = PointerGetDatum(row->name.label);
	values[3] = Int32GetDatum(row->row.version);
	values[4] = CStringGetTextDatum(row->row.root_key_id);
	values[5] = CStringGetTextDatum(why->reason);
	tuplestore_putvalues(findings->result, findings->columns, values, nulls);
}

/* Of what is no secret the reason says what it is. */
static void
try_records(Findings *findings)
{
	ListCell   *cell;

	foreach(cell, kv_record_rows_read(NULL))
	{
		const KvRecordRow *record = lfirst(cell);
		Datum		values[6] = {0};
		bool		nulls[6] = {true, true, true, true, false, false};
		const char *why;
		Size		len;
		uint8	   *plaintext = kv_record_try_open(record, &len, &why);

		if (plaintext != NULL)
		{
			kv_record_close(plaintext, len);
			continue;
		}
		values[4] = CStringGetTextDatum(record->root_key_id);
		values[5] = CStringGetTextDatum(psprintf("%s \"%s\": %s", record->kind, record->name, why));
		tuplestore_putvalues(findings->result, findings->columns, values, nulls);
	}
}

void
kv_verify_all(Tuplestorestate *result, TupleDesc columns)
{
	Findings	findings = {.add = put_into_result};

	findings.result = result;
	findings.columns = columns;
	kv_keyring_freshen();
	try_in_order(&findings, PG_INT64_MAX);
	try_records(&findings);
}

/* Whether the root key is a part of why the secret does not open. */
static bool
is_about_root_key(KvObstacleKind kind)
{
	return kind == KV_OBSTACLE_NOT_REGISTERED || kind == KV_OBSTACLE_NOT_IN_RING ||
		kind == KV_OBSTACLE_RING_UNREADABLE;
}

/* The last of too many groups takes all root keys that have none of their own. */
static void
count_by_reason(Findings *findings, const KvRotationRow *row, const KvObstacle *why)
{
	const char *root_key_id = is_about_root_key(why->kind) &&
		list_length(findings->soundness.unsound) < GROUPS_MAX ? row->row.root_key_id : "";
	MemoryContext caller;
	KvUnsound  *unsound;
	ListCell   *cell;

	foreach(cell, findings->soundness.unsound)
	{
		unsound = lfirst(cell);
		if (unsound->kind == why->kind &&
			(strcmp(unsound->root_key_id, row->row.root_key_id) == 0 ||
			 strcmp(unsound->root_key_id, root_key_id) == 0))
		{
			unsound->count++;
			return;
		}
	}

	caller = MemoryContextSwitchTo(findings->context);
	unsound = palloc0(sizeof(KvUnsound));
	unsound->kind = why->kind;
	strlcpy(unsound->root_key_id, root_key_id, sizeof(unsound->root_key_id));
	unsound->count = 1;
	findings->soundness.unsound = lappend(findings->soundness.unsound, unsound);
	MemoryContextSwitchTo(caller);
}

KvSoundness
kv_verify_sample(void)
{
	Findings	findings = {.add = count_by_reason};

	findings.context = CurrentMemoryContext;
	findings.soundness.estimated = kv_verify_rows_estimate();
	if (findings.soundness.estimated > FEW_ROWS)
		try_at_random(&findings);
	else
	{
		try_in_order(&findings, FEW_ROWS);
		if (findings.soundness.tried < FEW_ROWS)
			findings.soundness.estimated = 0;
	}
	return findings.soundness;
}
