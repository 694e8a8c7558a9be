/*
 * secret_names.c
 *		Many names of secrets at once, between C and SQL.
 *
 * Which names those are is for the statements to say.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store/distribution.h"
#include "store/secret_names.h"
#include "store/secret_table.h"
#include "store/shards.h"

static Datum
text_array(text *const *elements, int count)
{
	Datum	   *datums = palloc(sizeof(Datum) * count);
	ArrayType  *array;

	for (int i = 0; i < count; i++)
		datums[i] = PointerGetDatum(elements[i]);
	array = construct_array(datums, count, TEXTOID, -1, false, TYPALIGN_INT);
	pfree(datums);
	return PointerGetDatum(array);
}

void
kv_secret_names_pack(const KvSecretName *names, int count, Datum arrays[static 3])
{
	text	  **elements = palloc(sizeof(text *) * count);

	for (int i = 0; i < count; i++)
		elements[i] = names[i].user_id;
	arrays[0] = text_array(elements, count);
	for (int i = 0; i < count; i++)
		elements[i] = names[i].provider;
	arrays[1] = text_array(elements, count);
	for (int i = 0; i < count; i++)
		elements[i] = names[i].label;
	arrays[2] = text_array(elements, count);
	pfree(elements);
}

void
kv_secret_names_after(const KvSecretName *after, Datum values[static 3])
{
	text	   *nothing = cstring_to_text("");

	values[0] = PointerGetDatum(after != NULL ? after->user_id : nothing);
	values[1] = PointerGetDatum(after != NULL ? after->provider : nothing);
	values[2] = PointerGetDatum(after != NULL ? after->label : nothing);
}

int
kv_secret_names_select(KvStatement *statement, Datum *values, KvSecretName **names)
{
	MemoryContext caller = CurrentMemoryContext;
	int			count;

	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(statement, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	*names = palloc(sizeof(KvSecretName) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Datum		columns[3];
		bool		nulls[3];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		(*names)[i].user_id = DatumGetTextPCopy(columns[0]);
		(*names)[i].provider = DatumGetTextPCopy(columns[1]);
		(*names)[i].label = DatumGetTextPCopy(columns[2]);
	}
	SPI_finish();
	return count;
}

/* What is done with the rows that the statement has returned for one group. */
typedef int (*TakeRows) (uint64 rows, void *arg);

static uint64
run_by_shard(const KvNamesStatement *statement, Datum argument, const KvSecretName *names,
			 int count, TakeRows take, void *arg)
{
	KvStatement *chosen = kv_is_distributed() ? statement->in_shard : statement->local;
	KvShardGroup *groups;
	int			group_count = kv_shard_groups(names, count, &groups);
	uint64		taken = 0;

	for (int i = 0; i < group_count; i++)
	{
		Datum		values[4] = {argument};

		kv_secret_names_pack(kv_shard_group_names(names, &groups[i]), groups[i].count, &values[1]);
		kv_spi_connect();
		taken += take(kv_statement_run_as_owner(chosen, values, NULL, 0), arg);
		SPI_finish();
	}
	return taken;
}

typedef void (*CheckRow) (text *user_id, HeapTuple tuple, TupleDesc columns);

static int
check_removed(uint64 rows, void *arg)
{
	CheckRow   *check = arg;
	bool		isnull;

	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		Datum		user_id = SPI_getbinval(tuple, columns, KV_SECRETS_USER_ID, &isnull);

		(*check) (DatumGetTextPP(user_id), tuple, columns);
	}
	return (int) rows;
}

uint64
kv_secret_names_delete(const KvNamesStatement *statement, Datum argument,
					   const KvSecretName *names, int count,
					   void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns))
{
	return run_by_shard(statement, argument, names, count, check_removed, &check);
}

static int
note_left(uint64 rows, void *arg)
{
	KvRowHolders *holders = arg;
	int			left = 0;

	for (uint64 i = 0; i < rows; i++)
	{
		Datum		columns[3];
		bool		nulls[3];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		kv_row_holders_add(holders, DatumGetObjectId(columns[0]),
						   (ItemPointer) DatumGetPointer(columns[1]));
		left += DatumGetBool(columns[2]) ? 1 : 0;
	}
	return left;
}

int
kv_secret_names_left(const KvNamesStatement *statement, Datum argument,
					 const KvSecretName *names, int count, KvRowHolders *holders)
{
	return (int) run_by_shard(statement, argument, names, count, note_left, holders);
}
