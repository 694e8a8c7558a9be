/*
 * providers.c
 *		The SQL functions that change which providers there are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/providers/provider_changes.h"

PG_FUNCTION_INFO_V1(kv_sql_add_provider);
PG_FUNCTION_INFO_V1(kv_sql_remove_provider);

static char *
string_or_null(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static char *
provider_name(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("provider is NULL")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* The strings of an array argument; what: "alias".  None when it is NULL. */
static char **
strings(FunctionCallInfo fcinfo, int n, const char *what, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **result;

	*count = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, count);
	result = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(KV_ERRCODE_NO_ARGUMENT),
					 errmsg("%s is NULL", what)));
		result[i] = TextDatumGetCString(elements[i]);
	}
	return result;
}

/*
 * key_vault.add_provider(name text, env_var text, display_name text,
 *						  aliases text[], key_prefixes text[], required boolean,
 *						  category text, key_url text, attribute_vars jsonb) returns void
 *
 * Registers a provider of this database, or replaces one.
 */
Datum
kv_sql_add_provider(PG_FUNCTION_ARGS)
{
	KvProviderRow row = {0};

	row.name = provider_name(fcinfo);
	row.env_var = string_or_null(fcinfo, 1);
	row.display_name = string_or_null(fcinfo, 2);
	row.aliases = strings(fcinfo, 3, "alias", &row.alias_count);
	row.key_prefixes = strings(fcinfo, 4, "key prefix", &row.key_prefix_count);
	row.required = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	row.category = string_or_null(fcinfo, 6);
	row.key_url = string_or_null(fcinfo, 7);
	if (!PG_ARGISNULL(8))
		kv_provider_take_attribute_vars(&row, PG_GETARG_JSONB_P(8));
	kv_provider_add(&row);
	PG_RETURN_VOID();
}

/*
 * key_vault.remove_provider(name text) returns void
 *
 * Removes a provider of this database, or hides one that comes with the
 * extension.
 */
Datum
kv_sql_remove_provider(PG_FUNCTION_ARGS)
{
	kv_provider_remove(provider_name(fcinfo));
	PG_RETURN_VOID();
}
