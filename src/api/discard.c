/*
 * discard.c
 *		The SQL procedure that gives up what a lost root key sealed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "api/procedure.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/roots/discard.h"

PG_FUNCTION_INFO_V1(kv_sql_discard_secrets);

/*
 * key_vault.discard_secrets(root_key_id text, batch_size int)
 *
 * Removes what the root key sealed, when the keyring lacks it.
 */
Datum
kv_sql_discard_secrets(PG_FUNCTION_ARGS)
{
	text	   *id;
	int			batch_size;

	kv_require_own_transactions(fcinfo, "key_vault.discard_secrets()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the id of a root key must not be null")));
	id = PG_GETARG_TEXT_PP(0);
	batch_size = kv_batch_size_argument(fcinfo, 1);
	/* the chain key may be among what is lost: then no record can be chained before the end */
	KV_AUDITED(call, .action = "discard_secrets", .subject = text_to_cstring(id),
			   .waits_for_no_disk = true);
	{
		kv_discard_run(id, batch_size);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}
