/*
 * envelope.h
 *		Sealed bytes: one secret, or one record, sealed with a root key and bound to its row.
 *
 * Layout: format byte 2, root key id (8), nonce (24), ciphertext (as long as the
 * plaintext), tag (16).
 *
 * The associated data is what the row says about itself, so that the bytes do not
 * open anywhere else.  It is a sequence of fields, each a 32-bit big-endian length
 * and that many bytes, in this order:
 *
 *		"key_vault secret"
 *		format byte
 *		user_id, provider, label		UTF-8
 *		version							4 bytes, big endian, two's complement
 *		root key id						8 bytes
 *		expires_at						nothing when absent; else a byte 1 and
 *										8 bytes, big endian, two's complement
 *		hint							nothing when absent; else a byte 1 and UTF-8
 *		attributes						nothing when absent; else a byte 1 and JSON in
 *										UTF-8, in the spelling of json_text.h
 *
 * That of a record, which is what else is sealed (an issuer, a key of the vault's own):
 *
 *		"key_vault record"
 *		format byte
 *		kind, name						UTF-8
 *		root key id						8 bytes
 */
#ifndef KV_ENVELOPE_H
#define KV_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "root_key.h"
#include "status.h"
#include "xaes.h"

#define KV_ENVELOPE_OVERHEAD	(1 + KV_ROOT_KEY_ID_LEN + KV_XAES_NONCE_LEN + KV_XAES_TAG_LEN)
#define KV_BINDING_FIELD_MAX	1024	/* bytes of one text field */
#define KV_BINDING_ATTRIBUTES_MAX 4096

/* Bytes of somebody else; data may be NULL when len is 0. */
typedef struct KvBytes
{
	const uint8_t *data;
	size_t		len;
} KvBytes;

/*
 * What a secret is bound to.  All text is UTF-8, whatever the database's encoding,
 * each at most KV_BINDING_FIELD_MAX bytes, the attributes KV_BINDING_ATTRIBUTES_MAX.
 */
typedef struct KvBinding
{
	KvBytes		user_id;
	KvBytes		provider;
	KvBytes		label;
	int32_t		version;
	bool		has_expiry;
	int64_t		expires_at;		/* microseconds since 2000-01-01 00:00 UTC */
	bool		has_hint;
	KvBytes		hint;
	bool		has_attributes;
	KvBytes		attributes;
} KvBinding;

/* What a record is bound to: UTF-8, each at most KV_BINDING_FIELD_MAX bytes. */
typedef struct KvRecordName
{
	KvBytes		kind;
	KvBytes		name;
} KvRecordName;

/*
 * Seals len bytes under a fresh random nonce.  Writes len + KV_ENVELOPE_OVERHEAD
 * bytes to sealed, which must not overlap plaintext.
 *
 * Returns KV_OK; KV_TOO_LARGE when a field of the binding is over its limit or
 * len does not fit an int, and nothing is written; KV_CRYPTO_FAILURE, and sealed
 * is then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_envelope_seal(const KvXaesKey *key,
							 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
							 const KvBinding *binding,
							 const uint8_t *plaintext, size_t len,
							 uint8_t *sealed);

/*
 * The keys of count new messages, at most KV_XAES_DERIVED_MAX, each under a fresh nonce:
 * all at once for half of what a seal costs otherwise.  The caller wipes them.
 *
 * Returns KV_OK; KV_CRYPTO_FAILURE or KV_TOO_LARGE, and they must not be used.
 */
extern KV_MUST_CHECK KvStatus
			kv_envelope_new_keys(const KvXaesKey *key, KvXaesMessageKey *keys, size_t count);

/* As kv_envelope_seal(), with one of those, which seals nothing else. */
extern KV_MUST_CHECK KvStatus
			kv_envelope_seal_message(const KvXaesMessageKey *key,
									 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
									 const KvBinding *binding,
									 const uint8_t *plaintext, size_t len,
									 uint8_t *sealed);

/*
 * Tells which root key sealed these bytes.  Nothing is authenticated by that.
 *
 * Returns KV_OK; KV_MALFORMED when it is too short or of another format, and id
 * is then all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_envelope_root_key_id(const uint8_t *sealed, size_t len,
									uint8_t id[static KV_ROOT_KEY_ID_LEN]);

/*
 * Opens what kv_envelope_seal made, with the same key, id and binding.  Writes
 * len - KV_ENVELOPE_OVERHEAD bytes to plaintext, which must not overlap sealed.
 * The caller wipes them.
 *
 * Returns KV_OK; KV_MALFORMED as above; KV_WRONG_ROOT_KEY when another id stands
 * in it; KV_TAMPERED when the tag does not match; KV_TOO_LARGE as for sealing;
 * KV_CRYPTO_FAILURE.  Unless it is KV_OK, whatever of plaintext there is room for
 * is all zero.
 */
extern KV_MUST_CHECK KvStatus
			kv_envelope_open(const KvXaesKey *key,
							 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
							 const KvBinding *binding,
							 const uint8_t *sealed, size_t len,
							 uint8_t *plaintext);

/* The nonce of what kv_envelope_root_key_id() has said KV_OK of. */
extern void kv_envelope_nonce(const uint8_t *sealed, uint8_t nonce[static KV_XAES_NONCE_LEN]);

/* As kv_envelope_open(), with the key that was derived from that nonce. */
extern KV_MUST_CHECK KvStatus
			kv_envelope_open_message(const KvXaesMessageKey *key,
									 const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
									 const KvBinding *binding,
									 const uint8_t *sealed, size_t len,
									 uint8_t *plaintext);

/* As kv_envelope_seal() and kv_envelope_open(), of a record. */
extern KV_MUST_CHECK KvStatus
			kv_envelope_seal_record(const KvXaesKey *key,
									const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
									const KvRecordName *record,
									const uint8_t *plaintext, size_t len,
									uint8_t *sealed);
extern KV_MUST_CHECK KvStatus
			kv_envelope_open_record(const KvXaesKey *key,
									const uint8_t root_key_id[static KV_ROOT_KEY_ID_LEN],
									const KvRecordName *record,
									const uint8_t *sealed, size_t len,
									uint8_t *plaintext);

#endif							/* KV_ENVELOPE_H */
