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
#include "vault/roots/keyring.h"
#include "vault/roots/sealing.h"

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

/* What the row says about the sealed bytes, for which it has room. */
static void
describe_sealed(KvSecretRow *row, const KvRootKey *root_key, int plaintext_len)
{
	SET_VARSIZE(row->sealed, VARHDRSZ + plaintext_len + KV_ENVELOPE_OVERHEAD);
	kv_root_key_id_to_hex(root_key->id, row->root_key_id);
}

static void
check_sealed(KvStatus status)
{
	if (status != KV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not seal the API key"),
				 errdetail("Reason: %s.", kv_status_text(status))));
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
	describe_sealed(row, root_key, plaintext_len);
	status = kv_envelope_seal(&root_key->key, root_key->id, &binding,
							  (const uint8_t *) plaintext, plaintext_len,
							  (uint8_t *) VARDATA(row->sealed));
	if (plaintext != api_key)
		wipe_and_free(plaintext, plaintext_len);
	check_sealed(status);
}

/* Raises what is known about a secret that does not open. */
pg_noreturn static void
does_not_open(const KvSecretName *name, const KvSecretRow *row,
			  const char *reason)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("secret of user \"%s\" for provider \"%s\", label \"%s\", version %d does not open",
					text_to_cstring(name->user_id), text_to_cstring(name->provider),
					kv_quotable_label(name->label), row->version),
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

/*
 * The id of the root key that sealed a row; false and why when the row does not
 * tell, or tells of one that is none of this database's.
 */
static bool
find_root_key_id(const KvSecretRow *row, uint8_t id[KV_ROOT_KEY_ID_LEN],
				 const char **reason)
{
	char		hex[KV_ROOT_KEY_ID_HEX + 1];

	*reason = NULL;
	if (kv_envelope_root_key_id((const uint8_t *) VARDATA_ANY(row->sealed),
								VARSIZE_ANY_EXHDR(row->sealed), id) != KV_OK)
	{
		*reason = kv_status_text(KV_MALFORMED);
		return false;
	}
	kv_root_key_id_to_hex(id, hex);
	if (strcmp(hex, row->root_key_id) != 0)
		*reason = "its root key id differs from the row's";
	else if (!kv_root_key_row_registered(id))
		*reason = "its root key is not registered in this database";
	return *reason == NULL;
}

/* The plaintext in UTF-8, for the caller to wipe; or NULL and why. */
static text *
open_utf8(const KvSecretRow *row, const KvBinding *binding,
		  const KvRootKey *root_key, const char **reason)
{
	Size		sealed_len = VARSIZE_ANY_EXHDR(row->sealed);
	text	   *utf8 = palloc(VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);
	KvStatus	status;

	SET_VARSIZE(utf8, VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);
	status = kv_envelope_open(&root_key->key, root_key->id, binding,
							  (const uint8_t *) VARDATA_ANY(row->sealed),
							  sealed_len, (uint8_t *) VARDATA(utf8));
	if (status == KV_OK)
		return utf8;
	*reason = kv_status_text(status);
	return NULL;
}

text *
kv_open(const KvSecretName *name, const KvSecretRow *row)
{
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	const KvRootKey *root_key;
	const char *reason;
	KvBinding	binding;
	text	   *api_key;

	if (!find_root_key_id(row, id, &reason))
		does_not_open(name, row, reason);
	root_key = kv_keyring_require(id);
	bind(name, row, &binding);
	api_key = open_utf8(row, &binding, root_key, &reason);
	if (api_key == NULL)
		does_not_open(name, row, reason);
	return from_utf8(api_key);
}

const char *
kv_reseal(const KvSecretName *name, KvSecretRow *row, text *hint,
		  const uint8 root_key_id[KV_ROOT_KEY_ID_LEN], const uint8 *nonce)
{
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	const KvRootKey *root_key;
	const char *reason;
	KvBinding	binding;
	KvSecretRow after = *row;
	text	   *utf8;
	volatile KvStatus status = KV_OK;

	if (!find_root_key_id(row, id, &reason))
		return reason;
	root_key = kv_keyring_find(id);
	if (root_key == NULL)
		return "its root key is not in the keyring";
	bind(name, row, &binding);
	utf8 = open_utf8(row, &binding, root_key, &reason);
	if (utf8 == NULL)
		return reason;

	after.hint = hint;
	PG_TRY();
	{
		bind(name, &after, &binding);
		/* it may be read anew, and root_key is then no more */
		root_key = kv_keyring_require(root_key_id);
		after.sealed = palloc(VARSIZE(utf8) + KV_ENVELOPE_OVERHEAD);
		describe_sealed(&after, root_key, VARSIZE(utf8) - VARHDRSZ);
		status = kv_envelope_seal_under(&root_key->key, root_key->id, &binding, nonce,
										(const uint8_t *) VARDATA(utf8), VARSIZE(utf8) - VARHDRSZ,
										(uint8_t *) VARDATA(after.sealed));
	}
	PG_FINALLY();
	{
		wipe_and_free((const char *) utf8, VARSIZE(utf8));
	}
	PG_END_TRY();
	check_sealed(status);
	*row = after;
	return NULL;
}

uint8 *
kv_draw_nonces(int count)
{
	uint8	   *nonces = palloc((Size) count * KV_XAES_NONCE_LEN);

	check_sealed(kv_envelope_draw_nonces(nonces, count));
	return nonces;
}
