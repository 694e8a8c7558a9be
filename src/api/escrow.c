/*
 * escrow.c
 *		The SQL function that copies the keyring, encrypted.
 */
#include "postgres.h"

#include "fmgr.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/roots/escrow.h"

PG_FUNCTION_INFO_V1(kv_sql_escrow_keyring);

/*
 * key_vault.escrow_keyring(pgp_public_key text) returns text
 *
 * The keyring as an armored OpenPGP message, for superusers.
 */
Datum
kv_sql_escrow_keyring(PG_FUNCTION_ARGS)
{
	text	   *volatile message;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the public key is NULL")));
	KV_AUDITED(call, .action = "escrow_keyring");
	{
		message = kv_escrow_keyring(PG_GETARG_TEXT_PP(0));
		call.secret = message;
	}
	KV_AUDITED_END(call);
	PG_RETURN_TEXT_P(message);
}
