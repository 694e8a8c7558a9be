/*
 * chain_key.c
 *		Seals and opens the key that chains the audit's records.
 *
 * It is sealed as a secret's key is, under a name that no secret can have: its user id is
 * empty.  So neither opens in the other's place.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "server/errors.h"
#include "store/root_key_rows.h"
#include "store/secret_rows.h"
#include "vault/roots/chain_key.h"
#include "vault/roots/sealing.h"

#define HEX_LEN (2 * KV_CHAIN_KEY_LEN)

static KvSecretName
name_of_chain_key(void)
{
	return (KvSecretName){
		cstring_to_text(""), cstring_to_text("audit"), cstring_to_text("chain")
	};
}

static KvSecretRow
sealed_row(const KvAuditKeyRow *key)
{
	KvSecretRow row = {.version = 1};

	strlcpy(row.root_key_id, key->root_key_id, sizeof(row.root_key_id));
	row.sealed = key->sealed;
	return row;
}

/* As text, because that is what secrets are; for the caller to wipe.  NULL and why. */
static text *
open_hex(const KvAuditKeyRow *key, const char **why)
{
	KvSecretName name = name_of_chain_key();
	KvSecretRow row = sealed_row(key);
	KvObstacle	obstacle;
	text	   *hex = kv_try_open(&name, &row, &obstacle);

	if (hex == NULL)
		*why = obstacle.reason;
	else if (VARSIZE_ANY_EXHDR(hex) != HEX_LEN)
	{
		explicit_bzero(VARDATA_ANY(hex), VARSIZE_ANY_EXHDR(hex));
		hex = NULL;
		*why = "it is no chain key";
	}
	return hex;
}

KvChainMac *
kv_chain_key_open(const KvAuditKeyRow *row, const char **why)
{
	text	   *hex = open_hex(row, why);
	uint8		key[KV_CHAIN_KEY_LEN];
	KvChainMac *mac;

	if (hex == NULL)
		return NULL;
	(void) hex_decode(VARDATA_ANY(hex), HEX_LEN, (char *) key);
	explicit_bzero(VARDATA_ANY(hex), HEX_LEN);
	mac = kv_chain_mac_new(key);
	explicit_bzero(key, sizeof(key));
	if (mac == NULL)
		*why = kv_status_text(KV_CRYPTO_FAILURE);
	return mac;
}

/* The text is wiped, also when that fails. */
static void
seal_and_store(KvAuditKeyRow *key, text *hex, const uint8 *root_key_id,
			   void (*store) (const KvAuditKeyRow *key))
{
	KvSecretName name = name_of_chain_key();
	KvSecretRow row = {.version = 1};

	PG_TRY();
	{
		kv_seal(&name, &row, kv_keyring_require(root_key_id), VARDATA_ANY(hex), HEX_LEN);
		key->sealed = row.sealed;
		strlcpy(key->root_key_id, row.root_key_id, sizeof(key->root_key_id));
		store(key);
	}
	PG_FINALLY();
	{
		explicit_bzero(VARDATA_ANY(hex), HEX_LEN);
	}
	PG_END_TRY();
}

KvChainMac *
kv_chain_key_create(int64 first_number, KvAuditKeyRow *row)
{
	uint8		root_key_id[KV_ROOT_KEY_ID_LEN];
	uint8		key[KV_CHAIN_KEY_LEN];
	char		hex[HEX_LEN];
	KvChainMac *mac;

	memset(row, 0, sizeof(*row));
	row->first_number = first_number;
	/* The lock first: a root key that is active after it cannot be retired. */
	kv_secret_rows_lock_for_write();
	if (!kv_root_key_row_active(root_key_id))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("no root key is active in this database"),
				 errhint("An admin creates one with key_vault.create_root_key().")));
	kv_check_sealed(kv_chain_key_random(key));
	mac = kv_chain_mac_new(key);
	(void) hex_encode((const char *) key, sizeof(key), hex);
	explicit_bzero(key, sizeof(key));
	if (mac == NULL)
		kv_check_sealed(KV_CRYPTO_FAILURE);
	PG_TRY();
	{
		text	   *wiped_later = cstring_to_text_with_len(hex, HEX_LEN);

		explicit_bzero(hex, sizeof(hex));
		seal_and_store(row, wiped_later, root_key_id, kv_audit_key_insert);
	}
	PG_CATCH();
	{
		kv_chain_mac_free(mac);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return mac;
}

void
kv_chain_keys_reseal(const uint8 root_key_id[KV_ROOT_KEY_ID_LEN])
{
	char		wanted[KV_ROOT_KEY_ID_HEX_LEN + 1];
	KvAuditKeyRow *keys;
	int			count = kv_audit_keys_read(&keys);

	kv_root_key_id_to_hex(root_key_id, wanted);
	for (int i = 0; i < count; i++)
	{
		const char *why;
		text	   *hex;

		if (keys[i].sealed == NULL || strcmp(keys[i].root_key_id, wanted) == 0)
			continue;
		hex = open_hex(&keys[i], &why);
		if (hex != NULL)
			seal_and_store(&keys[i], hex, root_key_id, kv_audit_key_update);
		else
			ereport(WARNING,
					(errcode(KV_ERRCODE_SEALED),
					 errmsg("the chain key of the audit from record " INT64_FORMAT " on does not open",
							keys[i].first_number),
					 errdetail("Reason: %s.", why)));
	}
}
