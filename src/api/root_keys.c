/*
 * root_keys.c
 *		The SQL functions about root keys.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/roots/root_keys.h"

PG_FUNCTION_INFO_V1(kv_sql_create_root_key);
PG_FUNCTION_INFO_V1(kv_sql_activate_root_key);
PG_FUNCTION_INFO_V1(kv_sql_retire_root_key);
PG_FUNCTION_INFO_V1(kv_sql_root_key_in_ring);

static text *
id_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the id of a root key must not be null")));
	return PG_GETARG_TEXT_PP(0);
}

/*
 * key_vault.create_root_key() returns text
 *
 * Adds a root key to the keyring's file, registers it, and returns its id.
 */
Datum
kv_sql_create_root_key(PG_FUNCTION_ARGS)
{
	text	   *volatile id;

	KV_AUDITED(call, .action = "create_root_key", .waits_for_no_disk = true);
	{
		id = kv_root_key_create();
		call.subject = text_to_cstring(id);
	}
	KV_AUDITED_END(call);
	PG_RETURN_TEXT_P(id);
}

/*
 * key_vault.activate_root_key(id text) returns void
 *
 * Seals with this root key from now on.
 */
Datum
kv_sql_activate_root_key(PG_FUNCTION_ARGS)
{
	text	   *id = id_argument(fcinfo);

	KV_AUDITED(call, .action = "activate_root_key", .subject = text_to_cstring(id),
			   .waits_for_no_disk = true);
	{
		kv_root_key_activate(id);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}

/*
 * key_vault.retire_root_key(id text) returns void
 *
 * Marks a root key as out of use, when it is.
 */
Datum
kv_sql_retire_root_key(PG_FUNCTION_ARGS)
{
	text	   *id = id_argument(fcinfo);

	KV_AUDITED(call, .action = "retire_root_key", .subject = text_to_cstring(id));
	{
		kv_root_key_retire(id);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}

/*
 * key_vault.root_key_in_ring(id text) returns boolean
 *
 * Whether the keyring holds a root key, or NULL when it cannot be read: for the view
 * key_vault.root_keys.
 */
Datum
kv_sql_root_key_in_ring(PG_FUNCTION_ARGS)
{
	bool		is_known;
	bool		in_ring = kv_root_key_in_ring(id_argument(fcinfo), &is_known);

	if (!is_known)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(in_ring);
}
