/*
 * root_key_id.c
 *		The id of a root key, as SQL has it.
 */
#include "postgres.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/roots/root_key_id.h"

void
kv_root_key_id_from_text(const text *id, uint8 result[KV_ROOT_KEY_ID_LEN])
{
	if (kv_root_key_id_from_hex(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id),
								result) != KV_OK)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("this is not the id of a root key"),
				 errdetail("An id has 16 digits, 0 to 9 and a to f."),
				 errhint("The view key_vault.root_keys lists the ids.")));
}

const char *
kv_root_key_id_spelled(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	char	   *hex = palloc(KV_ROOT_KEY_ID_HEX_LEN + 1);

	kv_root_key_id_to_hex(id, hex);
	return hex;
}
