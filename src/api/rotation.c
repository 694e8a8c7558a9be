/*
 * rotation.c
 *		The SQL procedure that rotates.
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/procedure.h"
#include "vault/roots/rotation.h"

PG_FUNCTION_INFO_V1(kv_sql_rotate_root_key);

/*
 * key_vault.rotate_root_key(batch_size int)
 *
 * Re-seals with the active root key all that others sealed.
 */
Datum
kv_sql_rotate_root_key(PG_FUNCTION_ARGS)
{
	kv_require_own_transactions(fcinfo, "key_vault.rotate_root_key()");
	kv_rotation_run(kv_batch_size_argument(fcinfo, 0));
	PG_RETURN_VOID();
}
