/*
 * envelope.c
 *		Sealed bytes: one secret, or one record, sealed with a root key and bound to its row.
 *
 * What a row is, and when it has expired, is not known here.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "envelope.h"
#include "nonces.h"

#define FORMAT			2
#define ID_OFFSET		1
#define NONCE_OFFSET	(ID_OFFSET + KV_ROOT_KEY_ID_LEN)
#define BODY_OFFSET		(NONCE_OFFSET + KV_XAES_NONCE_LEN)

static const uint8_t format = FORMAT;
static const char secret_tag[] = "key_vault secret";
static const char record_tag[] = "key_vault record";

/* Ten length-prefixed fields; five of them are text that others chose. */
#define AAD_MAX \
	(10 * 4 + sizeof(secret_tag) - 1 + 1 + 4 * KV_BINDING_FIELD_MAX + \
	 4 + KV_ROOT_KEY_ID_LEN + 1 + 8 + 1 + 1 + KV_BINDING_ATTRIBUTES_MAX)

typedef struct AssociatedData
{
	size_t		len;
	uint8_t		bytes[AAD_MAX];
} AssociatedData;

static void
put(AssociatedData *aad, const void *data, size_t len)
{
	if (len > 0)
		memcpy(aad->bytes + aad->len, data, len);
	aad->len += len;
}

static void
put_uint32(AssociatedData *aad, uint32_t value)
{
	uint8_t		bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t) (value >> (24 - 8 * i));
	put(aad, bytes, sizeof(bytes));
}

static void
put_uint64(AssociatedData *aad, uint64_t value)
{
	put_uint32(aad, (uint32_t) (value >> 32));
	put_uint32(aad, (uint32_t) value);
}

/* The length in front is what keeps "ab", "c" apart from "a", "bc". */
static void
put_field(AssociatedData *aad, const void *data, size_t len)
{
	put_uint32(aad, (uint32_t) len);
	put(aad, data, len);
}

/* An absent field has no content; a present one starts with a 1, even if empty. */
static void
put_absent(AssociatedData *aad)
{
	put_uint32(aad, 0);
}

static void
put_present(AssociatedData *aad, size_t len)
{
	static const uint8_t present = 1;

	put_uint32(aad, (uint32_t) (1 + len));
	put(aad, &present, 1);
}

static void
put_optional(AssociatedData *aad, bool present, const KvBytes *bytes)
{
	if (!present)
	{
		put_absent(aad);
		return;
	}
	put_present(aad, bytes->len);
	put(aad, bytes->data, bytes->len);
}

static KvStatus
bind(AssociatedData *aad, const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
	 const KvBinding *binding)
{
	if (binding->user_id.len > KV_BINDING_FIELD_MAX ||
		binding->provider.len > KV_BINDING_FIELD_MAX ||
		binding->label.len > KV_BINDING_FIELD_MAX ||
		(binding->has_hint && binding->hint.len > KV_BINDING_FIELD_MAX) ||
		(binding->has_attributes && binding->attributes.len > KV_BINDING_ATTRIBUTES_MAX))
		return KV_TOO_LARGE;

	aad->len = 0;
	put_field(aad, secret_tag, sizeof(secret_tag) - 1);
	put_field(aad, &format, sizeof(format));
	put_field(aad, binding->user_id.data, binding->user_id.len);
	put_field(aad, binding->provider.data, binding->provider.len);
	put_field(aad, binding->label.data, binding->label.len);
	put_uint32(aad, 4);
	put_uint32(aad, (uint32_t) binding->version);
	put_field(aad, root_key_id, KV_ROOT_KEY_ID_LEN);

	if (binding->has_expiry)
	{
		put_present(aad, 8);
		put_uint64(aad, (uint64_t) binding->expires_at);
	}
	else
		put_absent(aad);
	put_optional(aad, binding->has_hint, &binding->hint);
	put_optional(aad, binding->has_attributes, &binding->attributes);
	return KV_OK;
}

/* Another tag than a secret's comes first, so that neither opens as the other. */
static KvStatus
bind_record(AssociatedData *aad, const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
			const KvRecordName *record)
{
	if (record->kind.len > KV_BINDING_FIELD_MAX || record->name.len > KV_BINDING_FIELD_MAX)
		return KV_TOO_LARGE;

	aad->len = 0;
	put_field(aad, record_tag, sizeof(record_tag) - 1);
	put_field(aad, &format, sizeof(format));
	put_field(aad, record->kind.data, record->kind.len);
	put_field(aad, record->name.data, record->name.len);
	put_field(aad, root_key_id, KV_ROOT_KEY_ID_LEN);
	return KV_OK;
}

KvStatus
kv_envelope_new_keys(const KvXaesKey *key, KvXaesMessageKey *keys, size_t count)
{
	uint8_t		nonces[KV_XAES_DERIVED_MAX][KV_XAES_NONCE_LEN];
	KvStatus	status;

	if (count > KV_XAES_DERIVED_MAX)
		return KV_TOO_LARGE;
	status = kv_nonces_take(nonces, count);
	if (status != KV_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		memcpy(keys[i].nonce, nonces[i], KV_XAES_NONCE_LEN);
	return kv_xaes_derive(key, keys, count);
}

static KvStatus
seal_message(const KvXaesMessageKey *key,
			 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
			 const AssociatedData *aad,
			 const uint8_t *plaintext, size_t len, uint8_t *sealed)
{
	KvStatus	status;

	status = kv_xaes_seal_message(key, aad->bytes, aad->len, plaintext, len, sealed + BODY_OFFSET);
	if (status == KV_OK)
	{
		sealed[0] = FORMAT;
		memcpy(sealed + ID_OFFSET, root_key_id, KV_ROOT_KEY_ID_LEN);
		memcpy(sealed + NONCE_OFFSET, key->nonce, KV_XAES_NONCE_LEN);
	}
	else if (status != KV_TOO_LARGE)
		OPENSSL_cleanse(sealed, len + KV_ENVELOPE_OVERHEAD);
	return status;
}

static KvStatus
seal(const KvXaesKey *key,
	 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
	 const AssociatedData *aad,
	 const uint8_t *plaintext, size_t len, uint8_t *sealed)
{
	KvXaesMessageKey message_key;
	KvStatus	status;

	status = kv_envelope_new_keys(key, &message_key, 1);
	if (status == KV_OK)
		status = seal_message(&message_key, root_key_id, aad, plaintext, len, sealed);
	else
		OPENSSL_cleanse(sealed, len + KV_ENVELOPE_OVERHEAD);
	OPENSSL_cleanse(&message_key, sizeof(message_key));
	return status;
}

KvStatus
kv_envelope_seal_message(const KvXaesMessageKey *key,
						 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
						 const KvBinding *binding,
						 const uint8_t *plaintext, size_t len,
						 uint8_t *sealed)
{
	AssociatedData aad;
	KvStatus	status = bind(&aad, root_key_id, binding);

	return status == KV_OK ? seal_message(key, root_key_id, &aad, plaintext, len, sealed) : status;
}

KvStatus
kv_envelope_seal(const KvXaesKey *key,
				 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
				 const KvBinding *binding,
				 const uint8_t *plaintext, size_t len,
				 uint8_t *sealed)
{
	AssociatedData aad;
	KvStatus	status = bind(&aad, root_key_id, binding);

	return status == KV_OK ? seal(key, root_key_id, &aad, plaintext, len, sealed) : status;
}

KvStatus
kv_envelope_seal_record(const KvXaesKey *key,
						const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
						const KvRecordName *record,
						const uint8_t *plaintext, size_t len,
						uint8_t *sealed)
{
	AssociatedData aad;
	KvStatus	status = bind_record(&aad, root_key_id, record);

	return status == KV_OK ? seal(key, root_key_id, &aad, plaintext, len, sealed) : status;
}

KvStatus
kv_envelope_root_key_id(const uint8_t *sealed, size_t len,
						uint8_t id[static KV_ROOT_KEY_ID_LEN])
{
	if (len < KV_ENVELOPE_OVERHEAD || sealed[0] != FORMAT)
	{
		memset(id, 0, KV_ROOT_KEY_ID_LEN);
		return KV_MALFORMED;
	}
	memcpy(id, sealed + ID_OFFSET, KV_ROOT_KEY_ID_LEN);
	return KV_OK;
}

void
kv_envelope_nonce(const uint8_t *sealed, uint8_t nonce[static KV_XAES_NONCE_LEN])
{
	memcpy(nonce, sealed + NONCE_OFFSET, KV_XAES_NONCE_LEN);
}

/* Whether an envelope is one of ours, sealed with a root key. */
static KvStatus
check(const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
	  const uint8_t *sealed, size_t len)
{
	uint8_t		sealed_with[KV_ROOT_KEY_ID_LEN];
	KvStatus	status;

	status = kv_envelope_root_key_id(sealed, len, sealed_with);
	if (status == KV_OK &&
		memcmp(sealed_with, root_key_id, KV_ROOT_KEY_ID_LEN) != 0)
		status = KV_WRONG_ROOT_KEY;
	return status;
}

static KvStatus
wipe_unless_opened(KvStatus status, uint8_t *plaintext, size_t len)
{
	if (status != KV_OK && len > KV_ENVELOPE_OVERHEAD)
		OPENSSL_cleanse(plaintext, len - KV_ENVELOPE_OVERHEAD);
	return status;
}

KvStatus
kv_envelope_open_message(const KvXaesMessageKey *key,
						 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
						 const KvBinding *binding,
						 const uint8_t *sealed, size_t len,
						 uint8_t *plaintext)
{
	AssociatedData aad;
	KvStatus	status;

	status = check(root_key_id, sealed, len);
	if (status == KV_OK)
		status = bind(&aad, root_key_id, binding);
	if (status == KV_OK && memcmp(sealed + NONCE_OFFSET, key->nonce, KV_XAES_NONCE_LEN) != 0)
		status = KV_TAMPERED;
	if (status == KV_OK)
		status = kv_xaes_open_message(key, aad.bytes, aad.len,
									  sealed + BODY_OFFSET, len - BODY_OFFSET, plaintext);
	return wipe_unless_opened(status, plaintext, len);
}

static KvStatus
open_with(const KvXaesKey *key, const AssociatedData *aad,
		  const uint8_t *sealed, size_t len, uint8_t *plaintext)
{
	return kv_xaes_open(key, sealed + NONCE_OFFSET, aad->bytes, aad->len,
						sealed + BODY_OFFSET, len - BODY_OFFSET, plaintext);
}

KvStatus
kv_envelope_open(const KvXaesKey *key,
				 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
				 const KvBinding *binding,
				 const uint8_t *sealed, size_t len,
				 uint8_t *plaintext)
{
	AssociatedData aad;
	KvStatus	status;

	status = check(root_key_id, sealed, len);
	if (status == KV_OK)
		status = bind(&aad, root_key_id, binding);
	if (status == KV_OK)
		status = open_with(key, &aad, sealed, len, plaintext);
	return wipe_unless_opened(status, plaintext, len);
}

KvStatus
kv_envelope_open_record(const KvXaesKey *key,
						const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
						const KvRecordName *record,
						const uint8_t *sealed, size_t len,
						uint8_t *plaintext)
{
	AssociatedData aad;
	KvStatus	status;

	status = check(root_key_id, sealed, len);
	if (status == KV_OK)
		status = bind_record(&aad, root_key_id, record);
	if (status == KV_OK)
		status = open_with(key, &aad, sealed, len, plaintext);
	return wipe_unless_opened(status, plaintext, len);
}
