/*
 * secrets.c
 *		The SQL functions for one user's secrets.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/roots/opening_many.h"
#include "vault/secrets/key_checks.h"
#include "vault/secrets/lookup.h"
#include "vault/secrets/secrets.h"

/* More than a row of key and attributes has. */
#define RESULT_KB 1024

PG_FUNCTION_INFO_V1(kv_sql_set);
PG_FUNCTION_INFO_V1(kv_sql_inspect_key);
PG_FUNCTION_INFO_V1(kv_sql_get);
PG_FUNCTION_INFO_V1(kv_sql_require);
PG_FUNCTION_INFO_V1(kv_sql_lookup);
PG_FUNCTION_INFO_V1(kv_sql_get_all);
PG_FUNCTION_INFO_V1(kv_sql_source);
PG_FUNCTION_INFO_V1(kv_sql_list);
PG_FUNCTION_INFO_V1(kv_sql_delete);
PG_FUNCTION_INFO_V1(kv_sql_forget);
PG_FUNCTION_INFO_V1(kv_sql_versions);
PG_FUNCTION_INFO_V1(kv_sql_rollback);

/*
 * A result of a row or two, which is not written to a temporary file, whatever work_mem
 * is: it holds a key.
 */
static Tuplestorestate *
result_in_memory(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		!(result->allowedModes & SFRM_Materialize) || result->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, RESULT_KB);
	MemoryContextSwitchTo(caller);
	return result->setResult;
}

/* What a record says of the arguments. */
#define NAMED(args) \
	.user_id = (args).user_id, .provider = (args).provider, .label = (args).label

/* user_id and provider are arguments 0 and 1; label is where it is said. */
static KvSecretArgs
secret_args(FunctionCallInfo fcinfo, int label)
{
	KvSecretArgs args;

	args.user_id = KV_GETARG_TEXT_OR_NULL(0);
	args.provider = KV_GETARG_TEXT_OR_NULL(1);
	args.label = KV_GETARG_TEXT_OR_NULL(label);
	return args;
}

/*
 * key_vault.set(user_id text, provider text, api_key text, label text,
 *				 expires_at timestamptz, if_version int, attributes jsonb) returns int
 *
 * Stores a new version of a secret; its number.
 */
Datum
kv_sql_set(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 3);
	KvSetOptions options = {0};
	volatile int32 version;

	/* infinity is another way to say that it never expires */
	options.has_expiry = !PG_ARGISNULL(4) && !TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(4));
	if (options.has_expiry)
		options.expires_at = PG_GETARG_TIMESTAMPTZ(4);
	options.has_if_version = !PG_ARGISNULL(5);
	if (options.has_if_version)
		options.if_version = PG_GETARG_INT32(5);
	options.attributes = PG_ARGISNULL(6) ? NULL : PG_GETARG_JSONB_P(6);

	KV_AUDITED(call, .action = "set", NAMED(args));
	{
		call.version = kv_secret_set(&args, KV_GETARG_TEXT_OR_NULL(2), &options);
		version = call.version;
	}
	KV_AUDITED_END(call);
	PG_RETURN_INT32(version);
}

/*
 * key_vault.inspect_key(provider text, api_key text) returns setof text
 *
 * What is odd about a key.
 */
Datum
kv_sql_inspect_key(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	kv_key_inspect(KV_GETARG_TEXT_OR_NULL(0), KV_GETARG_TEXT_OR_NULL(1),
				   result->setResult, result->setDesc);
	return (Datum) 0;
}

/*
 * key_vault.get(user_id text, provider text, label text) returns text
 *
 * The current key; NULL when there is none or it has expired.
 */
Datum
kv_sql_get(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	text	   *volatile api_key;

	kv_opening_many(fcinfo->flinfo);
	KV_AUDITED(call, .action = "get", NAMED(args));
	{
		api_key = kv_secret_get(&args);
		call.secret = api_key;
		call.outcome = api_key != NULL ? KV_AUDIT_OK : KV_AUDIT_NONE;
	}
	KV_AUDITED_END(call);

	if (api_key == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(api_key);
}

/*
 * key_vault.require(user_id text, provider text, label text) returns text
 *
 * As get(), but an error that says why there is no key.
 */
Datum
kv_sql_require(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	text	   *volatile api_key;

	kv_opening_many(fcinfo->flinfo);
	KV_AUDITED(call, .action = "require", NAMED(args));
	{
		api_key = kv_secret_require(&args);
		call.secret = api_key;
	}
	KV_AUDITED_END(call);
	PG_RETURN_TEXT_P(api_key);
}

static void
put_looked_up(Tuplestorestate *result, TupleDesc columns, const KvSecretArgs *args,
			  const KvLookup *found)
{
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = PointerGetDatum(found->api_key);
	values[1] = CStringGetTextDatum(found->source);
	values[2] = PointerGetDatum(args->label);
	values[3] = Int32GetDatum(found->version);
	nulls[3] = !found->has_version;
	values[4] = TimestampTzGetDatum(found->expires_at);
	nulls[4] = !found->has_expiry;
	values[5] = PointerGetDatum(found->attributes);
	nulls[5] = found->attributes == NULL;
	values[6] = PointerGetDatum(found->outcome);
	values[7] = TimestampTzGetDatum(found->outcome_at);
	nulls[6] = nulls[7] = found->outcome == NULL;
	tuplestore_putvalues(result, columns, values, nulls);
}

/*
 * key_vault.lookup(user_id text, provider text, label text) returns table
 *
 * The current key with its source, version, expiry and attributes, in one row or none.
 */
Datum
kv_sql_lookup(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	Tuplestorestate *result = result_in_memory(fcinfo);
	KvLookup	found;
	volatile bool is_found;

	kv_opening_many(fcinfo->flinfo);
	KV_AUDITED(call, .action = "lookup", NAMED(args));
	{
		is_found = kv_secret_lookup(&args, &found);
		call.secret = is_found ? found.api_key : NULL;
		call.outcome = is_found ? KV_AUDIT_OK : KV_AUDIT_NONE;
	}
	KV_AUDITED_END(call);
	if (is_found)
	{
		put_looked_up(result, ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc, &args, &found);
		explicit_bzero(VARDATA(found.api_key), VARSIZE(found.api_key) - VARHDRSZ);
	}
	return (Datum) 0;
}

/*
 * key_vault.get_all(user_id text) returns jsonb
 *
 * All current keys with the default label, by provider.
 */
Datum
kv_sql_get_all(PG_FUNCTION_ARGS)
{
	text	   *user_id = KV_GETARG_TEXT_OR_NULL(0);
	Jsonb	   *volatile keys;

	KV_AUDITED(call, .action = "get_all", .user_id = user_id);
	{
		keys = kv_secret_get_all(user_id);
		call.outcome = KV_AUDIT_NONE;	/* unless there was a record for each */
	}
	KV_AUDITED_END(call);
	PG_RETURN_JSONB_P(keys);
}

/*
 * key_vault.source(user_id text, provider text, label text) returns text
 *
 * Where get() would take the key from.
 */
Datum
kv_sql_source(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	text	   *owner;
	const char *source = kv_secret_source(&args, &owner);

	if (source == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(source));
}

/*
 * key_vault.list(user_id text) returns table
 *
 * The user's secrets without their keys.
 */
Datum
kv_sql_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_secret_list(KV_GETARG_TEXT_OR_NULL(0), result->setResult, result->setDesc);
	return (Datum) 0;
}

/*
 * key_vault.delete(user_id text, provider text, label text) returns boolean
 *
 * Removes every version of one secret; false when there was none.
 */
Datum
kv_sql_delete(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	volatile bool removed;

	KV_AUDITED(call, .action = "delete", NAMED(args));
	{
		removed = kv_secret_delete(&args);
		call.outcome = removed ? KV_AUDIT_OK : KV_AUDIT_NONE;
	}
	KV_AUDITED_END(call);
	PG_RETURN_BOOL(removed);
}

/*
 * key_vault.forget(user_id text) returns bigint
 *
 * Removes everything stored about a user; how many secrets.
 */
Datum
kv_sql_forget(PG_FUNCTION_ARGS)
{
	text	   *user_id = KV_GETARG_TEXT_OR_NULL(0);
	volatile int64 removed;

	KV_AUDITED(call, .action = "forget", .user_id = user_id, .forgets = true);
	{
		removed = (int64) kv_secret_forget(user_id);
	}
	KV_AUDITED_END(call);
	PG_RETURN_INT64(removed);
}

/*
 * key_vault.versions(user_id text, provider text, label text) returns table
 *
 * The versions of one secret, newest first, without their keys.
 */
Datum
kv_sql_versions(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 2);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_secret_versions(&args, result->setResult, result->setDesc);
	return (Datum) 0;
}

/*
 * key_vault.rollback(user_id text, provider text, version int, label text)
 *		returns int
 *
 * Makes an older version current as a new one; the new one's number.
 */
Datum
kv_sql_rollback(PG_FUNCTION_ARGS)
{
	KvSecretArgs args = secret_args(fcinfo, 3);
	volatile int32 version;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("version is NULL")));
	KV_AUDITED(call, .action = "rollback", NAMED(args));
	{
		call.version = kv_secret_rollback(&args, PG_GETARG_INT32(2));
		version = call.version;
	}
	KV_AUDITED_END(call);
	PG_RETURN_INT32(version);
}
