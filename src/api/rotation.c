/*
 * rotation.c
 *		The SQL procedure that rotates.
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/procedure.h"
#include "vault/audit/calls.h"
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
	int			batch_size;

	kv_require_own_transactions(fcinfo, "key_vault.rotate_root_key()");
	batch_size = kv_batch_size_argument(fcinfo, 0);
	/* two records: what stands between them may have been read with the old key or the new */
	KV_AUDITED(begun, .action = "rotation_start");
	{
	}
	KV_AUDITED_END(begun);
	KV_AUDITED(ended, .action = "rotation_end");
	{
		kv_rotation_run(batch_size);
	}
	KV_AUDITED_END(ended);
	PG_RETURN_VOID();
}
