/*
 * provider_rows.c
 *		The rows of the two tables of providers.
 *
 * All are read straight from the tables: a plan of the view over them would be
 * half of the memory that a backend gains from its first lookup.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "server/compat.h"
#include "store/provider_rows.h"
#include "store/statement.h"

/* Columns, in the order of the install script. */
enum
{
	COLUMN_NAME = 1,
	COLUMN_DISPLAY_NAME,
	COLUMN_ENV_VAR,
	COLUMN_ALIASES,
	COLUMN_KEY_PREFIXES,
	COLUMN_REQUIRED,
	COLUMN_CATEGORY,
	COLUMN_KEY_URL,
	COLUMN_ATTRIBUTE_VARS,
	COLUMN_HIDDEN				/* of own_providers only */
};

static KvStatement upsert = {
	"INSERT INTO key_vault_data.own_providers (name, display_name, env_var, aliases,"
	" key_prefixes, required, category, key_url, attribute_vars, hidden)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, false)"
	" ON CONFLICT (name) DO UPDATE SET display_name = EXCLUDED.display_name,"
	" env_var = EXCLUDED.env_var, aliases = EXCLUDED.aliases,"
	" key_prefixes = EXCLUDED.key_prefixes, required = EXCLUDED.required,"
	" category = EXCLUDED.category, key_url = EXCLUDED.key_url,"
	" attribute_vars = EXCLUDED.attribute_vars, hidden = false",
	9, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, BOOLOID, TEXTOID, TEXTOID, JSONBOID}
};

static KvStatement delete_own = {
	"DELETE FROM key_vault_data.own_providers"
	" WHERE name OPERATOR(pg_catalog.=) $1 AND NOT hidden",
	1, {TEXTOID}
};

static KvStatement hide_builtin = {
	"INSERT INTO key_vault_data.own_providers (name, display_name, env_var, hidden)"
	" SELECT name, display_name, env_var, true FROM key_vault_data.builtin_providers"
	" WHERE name OPERATOR(pg_catalog.=) $1"
	" ON CONFLICT (name) DO UPDATE SET hidden = true",
	1, {TEXTOID}
};

static KvStatement count_secrets = {
	"SELECT pg_catalog.count(*) FROM key_vault_data.secrets"
	" WHERE provider OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static char *
text_or_null(HeapTuple tuple, int column, TupleDesc columns)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, columns, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static bool
is_true(HeapTuple tuple, int column, TupleDesc columns)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, columns, &isnull);

	return !isnull && DatumGetBool(value);
}

/* The strings of an array, without NULLs. */
static char **
texts(HeapTuple tuple, int column, TupleDesc columns, int *count)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, columns, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			all;
	char	  **strings;

	*count = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &all);
	strings = palloc(sizeof(char *) * Max(all, 1));
	for (int i = 0; i < all; i++)
	{
		if (!nulls[i])
			strings[(*count)++] = TextDatumGetCString(elements[i]);
	}
	return strings;
}

static char *
copy_of_string(const JsonbValue *string)
{
	return pnstrdup(string->val.string.val, string->val.string.len);
}

bool
kv_provider_row_take_vars(KvProviderRow *row, Jsonb *vars)
{
	JsonbIterator *iterator = JsonbIteratorInit(&vars->root);
	JsonbValue	name;
	JsonbValue	value;
	bool		all = JB_ROOT_IS_OBJECT(vars);

	row->attribute_var_count = 0;
	if (!all)
		return false;
	row->attribute_vars = palloc(sizeof(KvAttributeVariable) * Max(JB_ROOT_COUNT(vars), 1));
	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		KvAttributeVariable *var = &row->attribute_vars[row->attribute_var_count];

		(void) JsonbIteratorNext(&iterator, &value, true);
		all = all && value.type == jbvString;
		if (value.type != jbvString)
			continue;
		var->attribute = copy_of_string(&name);
		var->variable = copy_of_string(&value);
		row->attribute_var_count++;
	}
	return all;
}

static void
unpack_vars(HeapTuple tuple, TupleDesc columns, KvProviderRow *row)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, COLUMN_ATTRIBUTE_VARS, columns, &isnull);

	if (!isnull)
		(void) kv_provider_row_take_vars(row, DatumGetJsonbP(value));
}

static KvProviderRow *
unpack(HeapTuple tuple, TupleDesc columns)
{
	KvProviderRow *row = palloc0(sizeof(KvProviderRow));

	row->name = text_or_null(tuple, COLUMN_NAME, columns);
	row->display_name = text_or_null(tuple, COLUMN_DISPLAY_NAME, columns);
	row->env_var = text_or_null(tuple, COLUMN_ENV_VAR, columns);
	row->category = text_or_null(tuple, COLUMN_CATEGORY, columns);
	row->key_url = text_or_null(tuple, COLUMN_KEY_URL, columns);
	row->required = is_true(tuple, COLUMN_REQUIRED, columns);
	row->is_hidden = columns->natts >= COLUMN_HIDDEN &&
		is_true(tuple, COLUMN_HIDDEN, columns);
	row->aliases = texts(tuple, COLUMN_ALIASES, columns, &row->alias_count);
	row->key_prefixes = texts(tuple, COLUMN_KEY_PREFIXES, columns, &row->key_prefix_count);
	unpack_vars(tuple, columns, row);
	return row;
}

/* All rows of one of the two tables. */
static List *
read_table(const char *name)
{
	Oid			relid = get_relname_relid(name, kv_data_schema());
	Relation	table = table_open(relid, AccessShareLock);
	TupleDesc	columns = RelationGetDescr(table);
	List	   *rows = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	/* NULL: a catalog snapshot, which is taken anew for each scan of a table. */
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		rows = lappend(rows, unpack(tuple, columns));
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return rows;
}

static bool
has_alias(const KvProviderRow *row, const char *name)
{
	for (int i = 0; i < row->alias_count; i++)
	{
		if (strcmp(row->aliases[i], name) == 0)
			return true;
	}
	return false;
}

/* Whether the database's own say otherwise what the name means. */
static bool
is_overruled(List *own, const char *name)
{
	ListCell   *cell;

	foreach(cell, own)
	{
		KvProviderRow *row = lfirst(cell);

		if (strcmp(row->name, name) == 0 || (!row->is_hidden && has_alias(row, name)))
			return true;
	}
	return false;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const KvProviderRow *) a)->name, ((const KvProviderRow *) b)->name);
}

uint64
kv_provider_rows_load(MemoryContext context, KvProviderRow **rows)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	List	   *own = read_table("own_providers");
	List	   *builtin = read_table("builtin_providers");
	uint64		count = 0;
	ListCell   *cell;

	/* As the view has it: the database's own win, and can hide others. */
	*rows = palloc(sizeof(KvProviderRow) * Max(list_length(own) + list_length(builtin), 1));
	foreach(cell, own)
	{
		KvProviderRow *row = lfirst(cell);

		row->is_own = true;
		if (!row->is_hidden)
			(*rows)[count++] = *row;
	}
	foreach(cell, builtin)
	{
		KvProviderRow *row = lfirst(cell);

		if (!is_overruled(own, row->name))
			(*rows)[count++] = *row;
	}
	list_free_deep(own);
	list_free_deep(builtin);
	qsort(*rows, count, sizeof(KvProviderRow), compare_names);
	MemoryContextSwitchTo(caller);
	return count;
}

bool
kv_provider_rows_may_be_own(void)
{
	Relation	table = table_open(get_relname_relid("own_providers", kv_data_schema()),
								   AccessShareLock);
	bool		may_be = RelationGetNumberOfBlocks(table) > 0;

	table_close(table, AccessShareLock);
	return may_be;
}

static void
put_text(const char *value, Datum *datum, char *null)
{
	*null = value != NULL ? ' ' : 'n';
	*datum = value != NULL ? CStringGetTextDatum(value) : (Datum) 0;
}

static Datum
text_array(char **strings, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
push_string(KvJsonbState *state, JsonbIteratorToken token, char *string)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = string;
	value.val.string.len = strlen(string);
	kv_push_jsonb(state, token, &value);
}

static Datum
vars_object(const KvProviderRow *row)
{
	KvJsonbState state = {0};

	kv_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < row->attribute_var_count; i++)
	{
		push_string(&state, WJB_KEY, row->attribute_vars[i].attribute);
		push_string(&state, WJB_VALUE, row->attribute_vars[i].variable);
	}
	kv_push_jsonb(&state, WJB_END_OBJECT, NULL);
	return PointerGetDatum(JsonbValueToJsonb(state.result));
}

void
kv_provider_row_put(const KvProviderRow *row)
{
	Datum		values[9];
	char		nulls[9];

	put_text(row->name, &values[0], &nulls[0]);
	put_text(row->display_name, &values[1], &nulls[1]);
	put_text(row->env_var, &values[2], &nulls[2]);
	values[3] = text_array(row->aliases, row->alias_count);
	nulls[3] = ' ';
	values[4] = text_array(row->key_prefixes, row->key_prefix_count);
	nulls[4] = ' ';
	values[5] = BoolGetDatum(row->required);
	nulls[5] = ' ';
	put_text(row->category, &values[6], &nulls[6]);
	put_text(row->key_url, &values[7], &nulls[7]);
	values[8] = vars_object(row);
	nulls[8] = ' ';

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
