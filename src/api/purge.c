/*
 * purge.c
 *		The SQL procedure that removes what expired long ago.
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/procedure.h"
#include "vault/secrets/purge.h"

PG_FUNCTION_INFO_V1(kv_sql_purge);

/*
 * key_vault.purge(batch_size int)
 *
 * Removes secrets that expired longer ago than key_vault.purge_after.
 */
Datum
kv_sql_purge(PG_FUNCTION_ARGS)
{
	kv_require_own_transactions(fcinfo, "key_vault.purge()");
	kv_purge_run(fcinfo->flinfo->fn_oid, kv_batch_size_argument(fcinfo, 0));
	PG_RETURN_VOID();
}
