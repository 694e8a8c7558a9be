/*
 * sealing.c
 *		Seals and opens secrets.  What is sealed, and what it is bound to, is
 *		UTF-8 whatever the database's encoding, so that a restore into another
 *		encoding still opens.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "crypto/envelope.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "store/root_key_rows.h"
#include "vault/keyring.h"
#include "vault/sealing.h"

/* Wipes and frees a conversion that held plaintext. */
static void
wipe_and_free(const char *plaintext, int len)
{
	char	   *mine = unconstify(char *, plaintext);

	explicit_bzero(mine, len);
	pfree(mine);
}

static KvBytes
text_to_utf8(const text *value)
{
	int			len;
	const char *utf8 = kv_to_utf8(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &len);
	KvBytes		bytes = {(const uint8_t *) utf8, len};

	return bytes;
}

static void
bind(const KvSecretName *name, const KvSecretRow *row, KvBinding *binding)
{
	memset(binding, 0, sizeof(*binding));
	binding->user_id = text_to_utf8(name->user_id);
	binding->provider = text_to_utf8(name->provider);
	binding->label = text_to_utf8(name->label);
	binding->version = row->version;
	binding->has_expiry = row->has_expiry;
	binding->expires_at = row->expires_at;
	binding->has_hint = row->hint != NULL;
	if (row->hint != NULL)
		binding->hint = text_to_utf8(row->hint);
}

void
kv_seal(const KvSecretName *name, KvSecretRow *row, const KvRootKey *root_key,
		const char *api_key, int len)
{
	Size		max_sealed = VARHDRSZ + (Size) len * MAX_CONVERSION_GROWTH + KV_ENVELOPE_OVERHEAD;
	KvBinding	binding;
	const char *plaintext;
	int			plaintext_len;
	KvStatus	status;

	/* all that can throw comes before the plaintext is copied */
	bind(name, row, &binding);
	row->sealed = palloc(max_sealed);
	plaintext = kv_to_utf8(api_key, len, &plaintext_len);
	status = kv_envelope_seal(&root_key->key, root_key->id, &binding,
							  (const uint8_t *) plaintext, plaintext_len,
							  (uint8_t *) VARDATA(row->sealed));
	SET_VARSIZE(row->sealed, VARHDRSZ + plaintext_len + KV_ENVELOPE_OVERHEAD);
	if (plaintext != api_key)
		wipe_and_free(plaintext, plaintext_len);
	if (status != KV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not seal the API key"),
				 errdetail("Reason: %s.", kv_status_text(status))));
	kv_root_key_id_to_hex(root_key->id, row->root_key_id);
}

/* Raises what is known about a secret that does not open. */
static void pg_attribute_noreturn()
does_not_open(const KvSecretName *name, const KvSecretRow *row,
			  const char *reason)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("secret of user \"%s\" for provider \"%s\", label \"%s\", version %d does not open",
					text_to_cstring(name->user_id), text_to_cstring(name->provider),
					text_to_cstring(name->label), row->version),
			 errdetail("Reason: %s.", reason),
			 errhint("The row was changed, or moved from another user, provider, label, version or database. Restore it from a backup, or have the user set the key again.")));
}

/* The plaintext in the database's encoding; utf8 is wiped when it is another. */
static text *
from_utf8(text *utf8)
{
	int			len = VARSIZE(utf8) - VARHDRSZ;
	const char *volatile converted = NULL;
	int			converted_len;
	text	   *result;

	if (GetDatabaseEncoding() == PG_UTF8)
		return utf8;

	PG_TRY();
	{
		converted = kv_from_utf8(VARDATA(utf8), len, &converted_len);
	}
	PG_CATCH();
	{
		explicit_bzero(VARDATA(utf8), len);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (converted == VARDATA(utf8))
		return utf8;

	result = cstring_to_text_with_len(converted, converted_len);
	wipe_and_free(converted, converted_len);
	explicit_bzero(VARDATA(utf8), len);
	return result;
}

text *
kv_open(const KvSecretName *name, const KvSecretRow *row)
{
	const uint8_t *sealed = (const uint8_t *) VARDATA_ANY(row->sealed);
	Size		sealed_len = VARSIZE_ANY_EXHDR(row->sealed);
	const KvRootKey *root_key;
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX + 1];
	KvBinding	binding;
	KvStatus	status;
	text	   *api_key;

	if (kv_envelope_root_key_id(sealed, sealed_len, id) != KV_OK)
		does_not_open(name, row, kv_status_text(KV_MALFORMED));
	kv_root_key_id_to_hex(id, hex);
	if (strcmp(hex, row->root_key_id) != 0)
		does_not_open(name, row, "its root key id differs from the row's");
	if (!kv_root_key_row_registered(id))
		does_not_open(name, row, "its root key is not registered in this database");

	root_key = kv_keyring_require(id);
	bind(name, row, &binding);
	api_key = palloc(VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);
	SET_VARSIZE(api_key, VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);
	status = kv_envelope_open(&root_key->key, root_key->id, &binding,
							  sealed, sealed_len, (uint8_t *) VARDATA(api_key));
	if (status != KV_OK)
		does_not_open(name, row, kv_status_text(status));
	return from_utf8(api_key);
}
