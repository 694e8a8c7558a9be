/*
 * test_envelope.c
 *		A secret opens as it was sealed, where it was sealed, and nowhere else.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/envelope.h"
#include "tap.h"

#define TEXT(literal) {(const uint8_t *) (literal), sizeof(literal) - 1}

static const char secret[] = "sk-test-0123456789abcdefghijklmnopqrst";

#define SECRET_LEN (sizeof(secret) - 1)
#define SEALED_LEN (SECRET_LEN + KV_ENVELOPE_OVERHEAD)

static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
static KvXaesKey xaes_key;

static const KvBinding plain_binding = {
	.user_id = TEXT("user_a"),
	.provider = TEXT("gemini"),
	.label = TEXT("default"),
	.version = 3,
	.has_hint = true,
	.hint = TEXT("qrst")
};

static KvStatus
seal(const KvBinding *binding, uint8_t *sealed)
{
	return kv_envelope_seal(&xaes_key, id, binding, (const uint8_t *) secret,
							SECRET_LEN, sealed);
}

/* Opens, and checks that plaintext is the secret, or else all zero. */
static KvStatus
open_envelope(const KvBinding *binding, const uint8_t *sealed, size_t len)
{
	static const uint8_t zero[SEALED_LEN] = {0};
	uint8_t		plaintext[SEALED_LEN];
	KvStatus	status;

	memset(plaintext, 0xaa, sizeof(plaintext));
	status = kv_envelope_open(&xaes_key, id, binding, sealed, len, plaintext);
	if (status == KV_OK)
		check(len == SEALED_LEN && memcmp(plaintext, secret, SECRET_LEN) == 0);
	else if (len > KV_ENVELOPE_OVERHEAD)
		check(memcmp(plaintext, zero, len - KV_ENVELOPE_OVERHEAD) == 0);
	return status;
}

static void
what_was_sealed_opens(void)
{
	uint8_t		sealed[SEALED_LEN];
	uint8_t		again[SEALED_LEN];
	uint8_t		sealed_with[KV_ROOT_KEY_ID_LEN];

	require(seal(&plain_binding, sealed) == KV_OK);
	check(open_envelope(&plain_binding, sealed, SEALED_LEN) == KV_OK);
	check(kv_envelope_root_key_id(sealed, SEALED_LEN, sealed_with) == KV_OK);
	check(memcmp(sealed_with, id, sizeof(id)) == 0);

	require(seal(&plain_binding, again) == KV_OK);
	check(memcmp(sealed + 9, again + 9, KV_XAES_NONCE_LEN) != 0);
	check(memcmp(sealed + 33, again + 33, SECRET_LEN) != 0);
}

/* What is sealed or opened with keys that were derived at once is as any other. */
static void
keys_derived_at_once_serve(void)
{
	static KvXaesMessageKey keys[KV_XAES_DERIVED_MAX];
	static KvXaesMessageKey again[KV_XAES_DERIVED_MAX];
	static uint8_t sealed[KV_XAES_DERIVED_MAX][SEALED_LEN];
	uint8_t		opened[SECRET_LEN];

	require(kv_envelope_new_keys(&xaes_key, keys, KV_XAES_DERIVED_MAX) == KV_OK);
	for (int i = 0; i < KV_XAES_DERIVED_MAX; i++)
	{
		for (int j = 0; j < i; j++)
			check(memcmp(keys[i].nonce, keys[j].nonce, KV_XAES_NONCE_LEN) != 0);
		require(kv_envelope_seal_message(&keys[i], id, &plain_binding, (const uint8_t *) secret,
										 SECRET_LEN, sealed[i]) == KV_OK);
		check(memcmp(sealed[i] + 9, keys[i].nonce, KV_XAES_NONCE_LEN) == 0);
		check(open_envelope(&plain_binding, sealed[i], SEALED_LEN) == KV_OK);
		kv_envelope_nonce(sealed[i], again[i].nonce);
	}
	require(kv_xaes_derive(&xaes_key, again, KV_XAES_DERIVED_MAX) == KV_OK);
	for (int i = 0; i < KV_XAES_DERIVED_MAX; i++)
	{
		require(kv_envelope_open_message(&again[i], id, &plain_binding, sealed[i], SEALED_LEN,
										 opened) == KV_OK);
		check(memcmp(opened, secret, SECRET_LEN) == 0);
		/* the key of another message, or one that was changed */
		check(kv_envelope_open_message(&again[i], id, &plain_binding,
									   sealed[(i + 1) % KV_XAES_DERIVED_MAX], SEALED_LEN,
									   opened) == KV_TAMPERED);
		check(opened[0] == 0);
		sealed[i][SEALED_LEN - 1] ^= 1;
		check(kv_envelope_open_message(&again[i], id, &plain_binding, sealed[i], SEALED_LEN,
									   opened) == KV_TAMPERED);
		check(opened[0] == 0);
	}
	check(kv_xaes_derive(&xaes_key, keys, KV_XAES_DERIVED_MAX + 1) == KV_TOO_LARGE);
}

/* The format is a promise to old rows, so here it is by hand. */
static void
the_layout_is_as_documented(void)
{
	static const uint8_t aad[] =
		"\0\0\0\x10" "key_vault secret"
		"\0\0\0\1" "\2"
		"\0\0\0\6" "user_a"
		"\0\0\0\6" "gemini"
		"\0\0\0\7" "default"
		"\0\0\0\4" "\xff\xff\xff\xfe"
		"\0\0\0\x08" "\xde\xad\xbe\xef\1\2\3\4"
		"\0\0\0\x09" "\1" "\xff\xff\xff\xff\xff\xff\xff\xfd"
		"\0\0\0\5" "\1" "qrst"
		"\0\0\0\x0e" "\1" "{\"region\":\"\"}";
	static const uint8_t aad_absent[] =
		"\0\0\0\x10" "key_vault secret"
		"\0\0\0\1" "\2"
		"\0\0\0\6" "user_a"
		"\0\0\0\6" "gemini"
		"\0\0\0\7" "default"
		"\0\0\0\4" "\x01\x02\x03\x04"
		"\0\0\0\x08" "\xde\xad\xbe\xef\1\2\3\4"
		"\0\0\0\0"
		"\0\0\0\0"
		"\0\0\0\0";
	KvBinding	binding = plain_binding;
	uint8_t		sealed[SEALED_LEN];
	uint8_t		plaintext[SECRET_LEN];

	binding.version = -2;
	binding.has_expiry = true;
	binding.expires_at = -3;
	binding.has_attributes = true;
	binding.attributes = (KvBytes) TEXT("{\"region\":\"\"}");
	require(seal(&binding, sealed) == KV_OK);
	check(sealed[0] == 2);
	check(memcmp(sealed + 1, id, 8) == 0);
	check(kv_xaes_open(&xaes_key, sealed + 9, aad, sizeof(aad) - 1,
					   sealed + 33, SECRET_LEN + 16, plaintext) == KV_OK);
	check(memcmp(plaintext, secret, SECRET_LEN) == 0);

	binding.version = 0x01020304;
	binding.has_expiry = false;
	binding.has_hint = false;
	binding.has_attributes = false;
	require(seal(&binding, sealed) == KV_OK);
	check(kv_xaes_open(&xaes_key, sealed + 9, aad_absent, sizeof(aad_absent) - 1,
					   sealed + 33, SECRET_LEN + 16, plaintext) == KV_OK);
}

static void
every_bit_flipped_is_found(void)
{
	uint8_t		sealed[SEALED_LEN];

	require(seal(&plain_binding, sealed) == KV_OK);
	for (size_t bit = 0; bit < 8 * SEALED_LEN; bit++)
	{
		KvStatus	status;

		sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
		status = open_envelope(&plain_binding, sealed, SEALED_LEN);
		if (bit < 8)
			check(status == KV_MALFORMED);
		else if (bit < 8 * 9)
			check(status == KV_WRONG_ROOT_KEY);
		else
			check(status == KV_TAMPERED);
		sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	check(open_envelope(&plain_binding, sealed, SEALED_LEN) == KV_OK);
}

static void
every_truncation_and_extension_is_found(void)
{
	uint8_t		sealed[SEALED_LEN + 1];
	uint8_t		sealed_with[KV_ROOT_KEY_ID_LEN];

	require(seal(&plain_binding, sealed) == KV_OK);
	for (size_t len = 0; len < SEALED_LEN; len++)
	{
		/* Its own allocation, so that a read past the end is seen */
		uint8_t    *cut = malloc(len);
		KvStatus	expected = len < KV_ENVELOPE_OVERHEAD ? KV_MALFORMED : KV_TAMPERED;

		memcpy(cut, sealed, len);
		check(open_envelope(&plain_binding, cut, len) == expected);
		if (len < KV_ENVELOPE_OVERHEAD)
			check(kv_envelope_root_key_id(cut, len, sealed_with) == KV_MALFORMED);
		free(cut);
	}
	sealed[SEALED_LEN] = 0;
	check(open_envelope(&plain_binding, sealed, SEALED_LEN + 1) == KV_TAMPERED);
}

/* Sealed with one binding, the bytes must not open with the other, nor vice versa. */
static void
apart(const KvBinding *one, const KvBinding *other)
{
	uint8_t		sealed[SEALED_LEN];

	require(seal(one, sealed) == KV_OK);
	check(open_envelope(one, sealed, SEALED_LEN) == KV_OK);
	check(open_envelope(other, sealed, SEALED_LEN) == KV_TAMPERED);
	require(seal(other, sealed) == KV_OK);
	check(open_envelope(other, sealed, SEALED_LEN) == KV_OK);
	check(open_envelope(one, sealed, SEALED_LEN) == KV_TAMPERED);
}

static void
every_field_of_the_binding_binds(void)
{
	static const KvBytes texts[] = {TEXT("user_b"), TEXT("user_"), TEXT("user_a "), TEXT("")};
	KvBinding	other;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		other = plain_binding;
		other.user_id = texts[i];
		apart(&plain_binding, &other);
		other = plain_binding;
		other.provider = texts[i];
		apart(&plain_binding, &other);
		other = plain_binding;
		other.label = texts[i];
		apart(&plain_binding, &other);
		other = plain_binding;
		other.hint = texts[i];
		apart(&plain_binding, &other);
	}
	other = plain_binding;
	other.version = 4;
	apart(&plain_binding, &other);
	other.version = 3 + 0x01000000;
	apart(&plain_binding, &other);
	other.version = -3;
	apart(&plain_binding, &other);
}

static void
attributes_bind(void)
{
	static const KvBytes texts[] = {TEXT("{}"), TEXT("{\"a\":1}"), TEXT("{\"a\":2}"), TEXT("{\"a\":1.0}"), TEXT("")};
	const int	count = sizeof(texts) / sizeof(texts[0]);
	KvBinding	one = plain_binding;
	KvBinding	other = plain_binding;

	for (int i = 0; i < count; i++)
	{
		one.has_attributes = true;
		one.attributes = texts[i];
		apart(&plain_binding, &one);
		other = one;
		other.attributes = texts[(i + 1) % count];
		apart(&one, &other);
		/* nor are they the hint */
		other = plain_binding;
		other.hint = texts[i];
		one.has_hint = false;
		apart(&one, &other);
		one.has_hint = true;
	}
}

static void
bytes_do_not_shift_between_fields(void)
{
	KvBinding	one = plain_binding;
	KvBinding	other = plain_binding;

	one.user_id = (KvBytes) TEXT("ab");
	one.provider = (KvBytes) TEXT("c");
	other.user_id = (KvBytes) TEXT("a");
	other.provider = (KvBytes) TEXT("bc");
	apart(&one, &other);

	one = other = plain_binding;
	one.provider = (KvBytes) TEXT("x");
	one.label = (KvBytes) TEXT("");
	other.provider = (KvBytes) TEXT("");
	other.label = (KvBytes) TEXT("x");
	apart(&one, &other);

	/* A text that holds what the next field's length would look like */
	one = other = plain_binding;
	one.user_id = (KvBytes) TEXT("u\0\0\0\1p");
	one.provider = (KvBytes) TEXT("q");
	other.user_id = (KvBytes) TEXT("u");
	other.provider = (KvBytes) TEXT("p\0\0\0\1q");
	apart(&one, &other);
}

static void
absent_is_not_the_same_as_any_value(void)
{
	static const int64_t times[] = {0, 1, -1, INT64_MIN, INT64_MAX};
	static const KvBytes hints[] = {TEXT(""), TEXT("\0"), TEXT("\1"), {NULL, 0}};
	KvBinding	absent = plain_binding;
	KvBinding	present = plain_binding;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
	{
		/* What stands in an absent field must not matter */
		absent.expires_at = times[i];
		present.has_expiry = true;
		present.expires_at = times[i];
		apart(&absent, &present);
	}
	absent = present = plain_binding;
	absent.has_hint = false;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
	{
		absent.hint = hints[i];
		present.hint = hints[i];
		apart(&absent, &present);
	}
}

static void
a_longer_life_does_not_open(void)
{
	KvBinding	one = plain_binding;
	KvBinding	other;

	one.has_expiry = true;
	one.expires_at = INT64_C(820454400000000);
	for (int bit = 0; bit < 64; bit++)
	{
		other = one;
		other.expires_at = (int64_t) ((uint64_t) one.expires_at ^ UINT64_C(1) << bit);
		apart(&one, &other);
	}
}

static void
what_stands_in_absent_fields_does_not_matter(void)
{
	KvBinding	one = plain_binding;
	KvBinding	other;
	uint8_t		sealed[SEALED_LEN];

	one.has_hint = false;
	other = one;
	other.expires_at = 12345;
	other.hint = (KvBytes) TEXT("wxyz");
	other.attributes = (KvBytes) TEXT("{}");
	require(seal(&one, sealed) == KV_OK);
	check(open_envelope(&other, sealed, SEALED_LEN) == KV_OK);
}

static void
another_root_key_is_told_from_tampering(void)
{
	static const uint8_t other_id[KV_ROOT_KEY_ID_LEN] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 5};
	KvXaesKey	other_key;
	uint8_t		key[KV_XAES_KEY_LEN] = {1};
	uint8_t		sealed[SEALED_LEN];
	uint8_t		plaintext[SECRET_LEN];

	require(kv_xaes_key_init(&other_key, key) == KV_OK);
	require(seal(&plain_binding, sealed) == KV_OK);
	check(kv_envelope_open(&xaes_key, other_id, &plain_binding, sealed, SEALED_LEN,
						   plaintext) == KV_WRONG_ROOT_KEY);
	check(kv_envelope_open(&other_key, id, &plain_binding, sealed, SEALED_LEN,
						   plaintext) == KV_TAMPERED);

	/* Relabelled in the row: the id is bound, too */
	memcpy(sealed + 1, other_id, sizeof(other_id));
	check(kv_envelope_open(&xaes_key, other_id, &plain_binding, sealed, SEALED_LEN,
						   plaintext) == KV_TAMPERED);
}

static void
secrets_of_0_bytes_to_64_KiB(void)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 255, 4096, 65535, 65536};
	uint8_t    *plaintext = malloc(65536);

	for (size_t i = 0; i < 65536; i++)
		plaintext[i] = (uint8_t) (i * 31 + i / 256);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
	{
		size_t		len = lengths[i];
		uint8_t    *sealed = malloc(len + KV_ENVELOPE_OVERHEAD);
		uint8_t    *opened = malloc(len);

		check(kv_envelope_seal(&xaes_key, id, &plain_binding, plaintext, len,
							   sealed) == KV_OK);
		check(kv_envelope_open(&xaes_key, id, &plain_binding, sealed,
							   len + KV_ENVELOPE_OVERHEAD, opened) == KV_OK);
		check(len == 0 || memcmp(opened, plaintext, len) == 0);
		sealed[len + KV_ENVELOPE_OVERHEAD - 1] ^= 0x80;
		check(kv_envelope_open(&xaes_key, id, &plain_binding, sealed,
							   len + KV_ENVELOPE_OVERHEAD, opened) == KV_TAMPERED);
		free(sealed);
		free(opened);
	}
	free(plaintext);
}

static void
fields_up_to_their_limit(void)
{
	static uint8_t text[KV_BINDING_ATTRIBUTES_MAX + 1];
	const KvBytes longest = {text, KV_BINDING_FIELD_MAX};
	const KvBytes too_long = {text, KV_BINDING_FIELD_MAX + 1};
	KvBinding	binding = {
		.user_id = longest, .provider = longest, .label = longest,
		.has_expiry = true, .has_hint = true, .hint = longest,
		.has_attributes = true, .attributes = {text, KV_BINDING_ATTRIBUTES_MAX}
	};
	uint8_t		sealed[SEALED_LEN];
	KvBinding	over;

	require(seal(&binding, sealed) == KV_OK);
	check(open_envelope(&binding, sealed, SEALED_LEN) == KV_OK);

	over = binding;
	over.user_id = too_long;
	check(open_envelope(&over, sealed, SEALED_LEN) == KV_TOO_LARGE);
	check(seal(&over, sealed) == KV_TOO_LARGE);
	over = binding;
	over.provider = too_long;
	check(seal(&over, sealed) == KV_TOO_LARGE);
	over = binding;
	over.label = too_long;
	check(seal(&over, sealed) == KV_TOO_LARGE);
	over = binding;
	over.hint = too_long;
	check(seal(&over, sealed) == KV_TOO_LARGE);
	over.has_hint = false;
	check(seal(&over, sealed) == KV_OK);
	over = binding;
	over.attributes.len++;
	check(seal(&over, sealed) == KV_TOO_LARGE);
	check(open_envelope(&over, sealed, SEALED_LEN) == KV_TOO_LARGE);
	over.has_attributes = false;
	check(seal(&over, sealed) == KV_OK);
}

int
main(void)
{
	uint8_t		key[KV_XAES_KEY_LEN];

	for (int i = 0; i < KV_XAES_KEY_LEN; i++)
		key[i] = (uint8_t) (i * 7);
	if (kv_xaes_key_init(&xaes_key, key) != KV_OK)
	{
		puts("Bail out! no key");
		return 1;
	}

	run(what_was_sealed_opens);
	run(keys_derived_at_once_serve);
	run(the_layout_is_as_documented);
	run(every_bit_flipped_is_found);
	run(every_truncation_and_extension_is_found);
	run(every_field_of_the_binding_binds);
	run(attributes_bind);
	run(bytes_do_not_shift_between_fields);
	run(absent_is_not_the_same_as_any_value);
	run(a_longer_life_does_not_open);
	run(what_stands_in_absent_fields_does_not_matter);
	run(another_root_key_is_told_from_tampering);
	run(secrets_of_0_bytes_to_64_KiB);
	run(fields_up_to_their_limit);
	return finish();
}
