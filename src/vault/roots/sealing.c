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
#include "vault/roots/attributes.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/sealing.h"

/* Wipes and frees a conversion that held plaintext. */
static void
wipe_and_free(const char *plaintext, int len)
{
	char	   *mine = unconstify(char *, plaintext);

	explicit_bzero(mine, len);
	pfree(mine);
}

#define NO_UTF8 "what it is bound to has a character without a UTF-8 form"

/* kv_to_utf8 or kv_try_to_utf8 */
typedef const char *(*Conversion) (const char *src, int len, int *converted_len);

/* False when the conversion says that there is no UTF-8 form. */
static bool
text_to_utf8(const text *value, Conversion to_utf8, KvBytes *bytes)
{
	int			len = VARSIZE_ANY_EXHDR(value);
	const char *utf8 = VARDATA_ANY(value);

	if (GetDatabaseEncoding() != PG_UTF8)
		utf8 = to_utf8(utf8, len, &len);
	bytes->data = (const uint8_t *) utf8;
	bytes->len = utf8 != NULL ? len : 0;
	return utf8 != NULL;
}

/* What a secret is bound to, and room for what the row has in another spelling. */
typedef struct Bound
{
	KvBinding	binding;
	char		attributes[KV_ATTRIBUTES_MAX];
} Bound;

static const char *
bind_attributes(const KvSecretRow *row, Bound *bound)
{
	bound->binding.has_attributes = row->attributes != NULL;
	if (row->attributes == NULL)
		return NULL;
	switch (kv_attributes_text(row->attributes, bound->attributes, &bound->binding.attributes))
	{
		case KV_ATTRIBUTES_GOOD:
			return NULL;
		case KV_ATTRIBUTES_NOT_UTF8:
			return NO_UTF8;
		default:
			return "its attributes are none that can be set";
	}
}

/* NULL, or why it cannot be told. */
static const char *
bind(const KvSecretName *name, const KvSecretRow *row, Conversion to_utf8, Bound *bound)
{
	KvBinding  *binding = &bound->binding;

	memset(binding, 0, sizeof(*binding));
	binding->version = row->version;
	binding->has_expiry = row->has_expiry;
	binding->expires_at = row->expires_at;
	binding->has_hint = row->hint != NULL;
	if (!text_to_utf8(name->user_id, to_utf8, &binding->user_id) ||
		!text_to_utf8(name->provider, to_utf8, &binding->provider) ||
		!text_to_utf8(name->label, to_utf8, &binding->label) ||
		(row->hint != NULL && !text_to_utf8(row->hint, to_utf8, &binding->hint)))
		return NO_UTF8;
	return bind_attributes(row, bound);
}

/* For what is to be sealed: the caller has checked the attributes, or opened the row. */
static void
bind_to_seal(const KvSecretName *name, const KvSecretRow *row, Bound *bound)
{
	const char *why = bind(name, row, kv_to_utf8, bound);

	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not seal the API key"),
				 errdetail("Reason: %s.", why)));
}

/* What the row says about the sealed bytes, for which it has room. */
static void
describe_sealed(KvSecretRow *row, const KvRootKey *root_key, int plaintext_len)
{
	SET_VARSIZE(row->sealed, VARHDRSZ + plaintext_len + KV_ENVELOPE_OVERHEAD);
	kv_root_key_id_to_hex(root_key->id, row->root_key_id);
}

void
kv_check_sealed(KvStatus status)
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
	Bound		bound;
	const char *plaintext;
	int			plaintext_len;
	KvStatus	status;

	/* all that can throw comes before the plaintext is copied */
	bind_to_seal(name, row, &bound);
	row->sealed = palloc(max_sealed);
	plaintext = kv_to_utf8(api_key, len, &plaintext_len);
	describe_sealed(row, root_key, plaintext_len);
	status = kv_envelope_seal(&root_key->key, root_key->id, &bound.binding,
							  (const uint8_t *) plaintext, plaintext_len,
							  (uint8_t *) VARDATA(row->sealed));
	if (plaintext != api_key)
		wipe_and_free(plaintext, plaintext_len);
	kv_check_sealed(status);
}

/* How it is told that a root key, or a character, is not to be had. */
typedef struct Manner
{
	const KvRootKey *(*find_root_key) (const uint8 id[KV_ROOT_KEY_ID_LEN]);
	Conversion	from_utf8;
} Manner;

static const Manner throwing = {kv_keyring_require, kv_from_utf8};
static const Manner telling = {kv_keyring_find, kv_try_from_utf8};

static text *
obstacle(KvObstacle *why, KvObstacleKind kind, const char *reason)
{
	why->kind = kind;
	why->reason = reason;
	return NULL;
}

/* The plaintext in the database's encoding, or NULL; utf8 is wiped when it is another. */
static text *
to_database_encoding(text *utf8, Conversion from_utf8)
{
	int			len = VARSIZE(utf8) - VARHDRSZ;
	const char *volatile converted = NULL;
	int			converted_len;
	text	   *result = NULL;

	if (GetDatabaseEncoding() == PG_UTF8)
		return utf8;

	PG_TRY();
	{
		converted = from_utf8(VARDATA(utf8), len, &converted_len);
	}
	PG_CATCH();
	{
		explicit_bzero(VARDATA(utf8), len);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (converted == VARDATA(utf8))
		return utf8;

	if (converted != NULL)
	{
		result = cstring_to_text_with_len(converted, converted_len);
		wipe_and_free(converted, converted_len);
	}
	explicit_bzero(VARDATA(utf8), len);
	return result;
}

/* An id in hexadecimal; the last one is kept, for most secrets have the same. */
static const char *
hex_of(const uint8_t id[KV_ROOT_KEY_ID_LEN])
{
	static uint8_t last[KV_ROOT_KEY_ID_LEN];
	static char hex[KV_ROOT_KEY_ID_HEX + 1] = "";

	if (hex[0] == '\0' || memcmp(id, last, KV_ROOT_KEY_ID_LEN) != 0)
	{
		kv_root_key_id_to_hex(id, hex);
		memcpy(last, id, KV_ROOT_KEY_ID_LEN);
	}
	return hex;
}

/*
 * The id of the root key that sealed a row; false and why when the row does not
 * tell, or tells of one that is none of this database's.
 */
static bool
find_root_key_id(const KvSecretRow *row, uint8_t id[KV_ROOT_KEY_ID_LEN], KvObstacle *why)
{
	why->kind = KV_OBSTACLE_ROW;
	if (kv_envelope_root_key_id((const uint8_t *) VARDATA_ANY(row->sealed),
								VARSIZE_ANY_EXHDR(row->sealed), id) != KV_OK)
	{
		why->reason = kv_status_text(KV_MALFORMED);
		return false;
	}
	if (strcmp(hex_of(id), row->root_key_id) != 0)
	{
		why->reason = "its root key id differs from the row's";
		return false;
	}
	if (!kv_root_key_row_registered(id))
	{
		why->kind = KV_OBSTACLE_NOT_REGISTERED;
		why->reason = "its root key is not registered in this database";
		return false;
	}
	return true;
}

static KvStatus
open_envelope(const KvRootKey *root_key, const KvXaesMessageKey *key, const KvBinding *binding,
			  const uint8_t *sealed, size_t len, uint8_t *plaintext)
{
	if (key != NULL)
		return kv_envelope_open_message(key, root_key->id, binding, sealed, len, plaintext);
	return kv_envelope_open(&root_key->key, root_key->id, binding, sealed, len, plaintext);
}

/*
 * The plaintext in UTF-8, for the caller to wipe; or NULL and why.  key is the message's,
 * where it has been derived, or NULL.
 */
static text *
open_utf8(const KvSecretName *name, const KvSecretRow *row, const KvXaesMessageKey *key,
		  const Manner *manner, KvObstacle *why)
{
	Bound		bound;
	const char *unbound;
	Size		sealed_len = VARSIZE_ANY_EXHDR(row->sealed);
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	const KvRootKey *root_key;
	text	   *utf8;
	KvStatus	status;

	if (!find_root_key_id(row, id, why))
		return NULL;
	unbound = bind(name, row, kv_try_to_utf8, &bound);
	if (unbound != NULL)
		return obstacle(why, KV_OBSTACLE_ROW, unbound);
	utf8 = palloc(VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);
	SET_VARSIZE(utf8, VARHDRSZ + sealed_len - KV_ENVELOPE_OVERHEAD);

	root_key = manner->find_root_key(id);
	if (root_key == NULL && kv_keyring_is_outdated())
		return obstacle(why, KV_OBSTACLE_RING_UNREADABLE,
						psprintf("whether the keyring has its root key %s is not known, for it cannot be read", row->root_key_id));
	if (root_key == NULL)
		return obstacle(why, KV_OBSTACLE_NOT_IN_RING,
						psprintf("its root key %s is not in the keyring", row->root_key_id));
	status = open_envelope(root_key, key, &bound.binding, (const uint8_t *) VARDATA_ANY(row->sealed),
						   sealed_len, (uint8_t *) VARDATA(utf8));
	return status == KV_OK ? utf8 : obstacle(why, KV_OBSTACLE_ROW, kv_status_text(status));
}

text *
kv_try_open(const KvSecretName *name, const KvSecretRow *row, KvObstacle *why)
{
	text	   *utf8 = open_utf8(name, row, NULL, &telling, why);
	text	   *api_key;

	if (utf8 == NULL)
		return NULL;
	api_key = to_database_encoding(utf8, telling.from_utf8);
	if (api_key == NULL)
		return obstacle(why, KV_OBSTACLE_ENCODING,
						psprintf("the key has a character without equivalent in encoding \"%s\"",
								 GetDatabaseEncodingName()));
	return api_key;
}

text *
kv_open(const KvSecretName *name, const KvSecretRow *row)
{
	KvObstacle	why;
	text	   *utf8 = open_utf8(name, row, NULL, &throwing, &why);

	if (utf8 == NULL)
		kv_report_obstacle(ERROR, name, row, &why);
	return to_database_encoding(utf8, throwing.from_utf8);
}

static const char *
way_out(KvObstacleKind kind)
{
	switch (kind)
	{
		case KV_OBSTACLE_NOT_REGISTERED:
		case KV_OBSTACLE_ROW:
			break;
		case KV_OBSTACLE_NOT_IN_RING:
			return psprintf("%s The view key_vault.root_keys lists its root keys.",
							kv_keyring_missing_key_hint());
		case KV_OBSTACLE_RING_UNREADABLE:
			return "See to it that the keyring can be read: nothing is known to be lost.";
		case KV_OBSTACLE_ENCODING:
			return KV_ENCODING_HINT;
	}
	return "The row was changed, or moved from another user, provider, label, version or database. Restore it from a backup, or have the user set the key again.";
}

void
kv_report_obstacle(int level, const KvSecretName *name, const KvSecretRow *row,
				   const KvObstacle *why)
{
	ereport(level,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("secret of user \"%s\" for provider \"%s\", label \"%s\", version %d does not open",
					text_to_cstring(name->user_id), text_to_cstring(name->provider),
					kv_quotable_label(name->label), row->version),
			 errdetail("Reason: %s.", why->reason),
			 errhint("%s", way_out(why->kind))));
}

const char *
kv_reseal(const KvSecretName *name, KvSecretRow *row, text *hint,
		  const uint8 root_key_id[KV_ROOT_KEY_ID_LEN], const KvXaesMessageKey *old_key,
		  const KvXaesMessageKey *new_key)
{
	KvObstacle	why;
	Bound		bound;
	KvSecretRow after = *row;
	text	   *utf8 = open_utf8(name, row, old_key, &telling, &why);
	volatile KvStatus status = KV_OK;

	if (utf8 == NULL)
		return why.reason;

	after.hint = hint;
	PG_TRY();
	{
		const KvRootKey *root_key;

		bind_to_seal(name, &after, &bound);
		/* it may be read anew, and a pointer to a root key is then no more */
		root_key = kv_keyring_require(root_key_id);
		after.sealed = palloc(VARSIZE(utf8) + KV_ENVELOPE_OVERHEAD);
		describe_sealed(&after, root_key, VARSIZE(utf8) - VARHDRSZ);
		status = kv_envelope_seal_message(new_key, root_key->id, &bound.binding,
										  (const uint8_t *) VARDATA(utf8), VARSIZE(utf8) - VARHDRSZ,
										  (uint8_t *) VARDATA(after.sealed));
	}
	PG_FINALLY();
	{
		wipe_and_free((const char *) utf8, VARSIZE(utf8));
	}
	PG_END_TRY();
	kv_check_sealed(status);
	*row = after;
	return NULL;
}
