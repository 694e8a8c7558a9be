/*
 * keys.c
 *		Whether the root keys are there that seal, and that sealed.
 */
#include "postgres.h"

#include "crypto/root_key.h"
#include "store/root_key_rows.h"
#include "store/status_rows.h"
#include "vault/roots/keyring.h"
#include "vault/status/checks.h"

KvFinding
kv_check_root_key(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	if (!kv_root_key_row_active(id))
		return kv_found_error("No root key is active: nothing can be stored.",
							  "SELECT key_vault.create_root_key();");
	kv_root_key_id_to_hex(id, hex);
	if (!kv_keyring_contains(id))
		return kv_found_error(psprintf("The active root key %s is not in the keyring.", hex),
							  "Restore the keyring that this database was sealed with.");
	return kv_found_ok(psprintf("Root key %s is active.", hex));
}

KvFinding
kv_check_keyring(void)
{
	char	   *detail;
	char	   *remedy;

	switch (kv_keyring_check(&detail, &remedy))
	{
		case KV_KEYRING_OK:
			return kv_found_ok(detail);
		case KV_KEYRING_NOT_LOCKED:
			return kv_found_warning(detail, remedy);
		case KV_KEYRING_NOT_CONFIGURED:
		case KV_KEYRING_UNREADABLE:
			break;
	}
	return kv_found_error(detail, remedy);
}

/* The root key that was activated last is active: so the one that is, again. */
static char *
activate_again(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	if (!kv_root_key_row_active(id))
		return "";
	kv_root_key_id_to_hex(id, hex);
	return psprintf("\nSELECT key_vault.activate_root_key('%s');", hex);
}

KvFinding
kv_check_sealed_rows(void)
{
	KvFinding	finding = kv_found_in_rows(kv_status_rows_ask(KV_ASK_SEALED_ROWS),
										   "Every secret is sealed with a root key of this database.");

	if (finding.remedy != NULL)
		finding.remedy = psprintf("-- when the keyring has them:\n%s%s", finding.remedy,
								  activate_again());
	return finding;
}
