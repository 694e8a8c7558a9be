/*
 * provider_rows.c
 *		The SQL on providers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store/provider_rows.h"
#include "store/statement.h"

static KvStatement select_all = {
	"SELECT name, display_name, env_var, key_pattern, required, aliases"
	" FROM key_vault.providers ORDER BY name",
	0
};

static void
unpack_aliases(Datum value, KvProviderRow *row)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	row->aliases = palloc(sizeof(char *) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			row->aliases[row->alias_count++] = TextDatumGetCString(elements[i]);
	}
}

/* Copies one row; the current context is the one that keeps it. */
static void
unpack(HeapTuple tuple, TupleDesc columns, KvProviderRow *row)
{
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(*row));
	row->name = SPI_getvalue(tuple, columns, 1);
	row->display_name = SPI_getvalue(tuple, columns, 2);
	row->env_var = SPI_getvalue(tuple, columns, 3);
	row->key_pattern = SPI_getvalue(tuple, columns, 4);
	row->required = DatumGetBool(SPI_getbinval(tuple, columns, 5, &isnull));
	value = SPI_getbinval(tuple, columns, 6, &isnull);
	if (!isnull)
		unpack_aliases(value, row);
}

uint64
kv_provider_rows_load(MemoryContext context, KvProviderRow **rows)
{
	MemoryContext caller;
	uint64		count;

	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
	count = kv_statement_run_as_owner(&select_all, NULL, NULL, 0);
	caller = MemoryContextSwitchTo(context);
	*rows = palloc(sizeof(KvProviderRow) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
		unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	MemoryContextSwitchTo(caller);
	SPI_finish();
	return count;
}
