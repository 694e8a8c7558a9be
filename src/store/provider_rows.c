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
	"SELECT name, display_name, env_var, key_pattern, required, aliases, category, key_url"
	" FROM key_vault.providers ORDER BY name",
	0
};

static KvStatement upsert = {
	"INSERT INTO key_vault.own_providers (name, display_name, env_var, aliases,"
	" key_pattern, required, category, key_url, hidden)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false)"
	" ON CONFLICT (name) DO UPDATE SET display_name = EXCLUDED.display_name,"
	" env_var = EXCLUDED.env_var, aliases = EXCLUDED.aliases,"
	" key_pattern = EXCLUDED.key_pattern, required = EXCLUDED.required,"
	" category = EXCLUDED.category, key_url = EXCLUDED.key_url, hidden = false",
	8, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID}
};

static KvStatement delete_own = {
	"DELETE FROM key_vault.own_providers"
	" WHERE name OPERATOR(pg_catalog.=) $1 AND NOT hidden",
	1, {TEXTOID}
};

static KvStatement hide_builtin = {
	"INSERT INTO key_vault.own_providers (name, display_name, env_var, hidden)"
	" SELECT name, display_name, env_var, true FROM key_vault.builtin_providers"
	" WHERE name OPERATOR(pg_catalog.=) $1"
	" ON CONFLICT (name) DO UPDATE SET hidden = true",
	1, {TEXTOID}
};

static KvStatement count_secrets = {
	"SELECT pg_catalog.count(*) FROM key_vault.secrets"
	" WHERE provider OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
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
	row->category = SPI_getvalue(tuple, columns, 7);
	row->key_url = SPI_getvalue(tuple, columns, 8);
}

uint64
kv_provider_rows_load(MemoryContext context, KvProviderRow **rows)
{
	MemoryContext caller;
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&select_all, NULL, NULL, 0);
	caller = MemoryContextSwitchTo(context);
	*rows = palloc(sizeof(KvProviderRow) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
		unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &(*rows)[i]);
	MemoryContextSwitchTo(caller);
	SPI_finish();
	return count;
}

static void
put_text(const char *value, Datum *datum, char *null)
{
	*null = value != NULL ? ' ' : 'n';
	*datum = value != NULL ? CStringGetTextDatum(value) : (Datum) 0;
}

void
kv_provider_row_put(const KvProviderRow *row)
{
	Datum		values[8];
	char		nulls[8];
	Datum	   *aliases = palloc(sizeof(Datum) * Max(row->alias_count, 1));

	for (int i = 0; i < row->alias_count; i++)
		aliases[i] = CStringGetTextDatum(row->aliases[i]);
	put_text(row->name, &values[0], &nulls[0]);
	put_text(row->display_name, &values[1], &nulls[1]);
	put_text(row->env_var, &values[2], &nulls[2]);
	values[3] = PointerGetDatum(construct_array(aliases, row->alias_count, TEXTOID,
												-1, false, TYPALIGN_INT));
	nulls[3] = ' ';
	put_text(row->key_pattern, &values[4], &nulls[4]);
	values[5] = BoolGetDatum(row->required);
	nulls[5] = ' ';
	put_text(row->category, &values[6], &nulls[6]);
	put_text(row->key_url, &values[7], &nulls[7]);

	kv_spi_connect();
	(void) kv_statement_run_as_owner(&upsert, values, nulls, 0);
	SPI_finish();
}

static uint64
run_for_name(KvStatement *statement, const char *name)
{
	Datum		values[1];
	uint64		count;

	values[0] = CStringGetTextDatum(name);
	kv_spi_connect();
	count = kv_statement_run_as_owner(statement, values, NULL, 0);
	SPI_finish();
	return count;
}

bool
kv_provider_row_remove(const char *name)
{
	return run_for_name(&delete_own, name) > 0;
}

bool
kv_provider_row_hide(const char *name)
{
	return run_for_name(&hide_builtin, name) > 0;
}

int64
kv_provider_row_count_secrets(const char *name)
{
	Datum		values[1];
	bool		isnull;
	int64		count;

	values[0] = CStringGetTextDatum(name);
	kv_spi_connect();
	(void) kv_statement_run_as_owner(&count_secrets, values, NULL, 1);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
										1, &isnull));
	SPI_finish();
	return count;
}
