/*
 * key.c
 *		One key of an issuer.
 *
 * libjose gets a JWK that is written here, of members that were looked at, and never the
 * one that came.
 */
#include <string.h>

#include <openssl/err.h>

#include "base64url.h"
#include "key.h"
#include "memory.h"
#include "rsa_key.h"
#include "strict_json.h"

static bool
is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* Whether a member is absent or a text; what else it is has no meaning. */
static bool
text_or_nothing(const json_t *jwk, const char *name)
{
	const json_t *member = json_object_get(jwk, name);

	return member == NULL || json_is_string(member);
}

/* Whether "use" and "key_ops" let it verify. */
static bool
for_verifying(const json_t *jwk)
{
	size_t		len;
	const char *use = kv_json_text(jwk, "use", &len);
	const json_t *operations = json_object_get(jwk, "key_ops");

	if (use != NULL && !is(use, len, "sig"))
		return false;
	if (operations == NULL)
		return true;
	for (size_t i = 0; i < json_array_size(operations); i++)
	{
		const json_t *operation = json_array_get(operations, i);

		if (json_is_string(operation) &&
			is(json_string_value(operation), json_string_length(operation), "verify"))
			return true;
	}
	return false;
}

/* Whether some member of it is one that private keys have (RFC 7518 section 6, RFC 8037). */
static bool
is_private(const json_t *jwk)
{
	static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "priv"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (json_object_get(jwk, members[i]) != NULL)
			return true;
	return false;
}

/*
 * Which algorithm it is for.  NULL with KV_KEYS_OK when it is for none of ours; a kty of
 * ours with an algorithm of another kty is a mistake.
 */
static KvKeySetFault
find_algorithm(const json_t *jwk, const KvAlgorithm **algorithm)
{
	size_t		type_len;
	size_t		curve_len;
	size_t		name_len;
	const char *type = kv_json_text(jwk, "kty", &type_len);
	const char *curve = kv_json_text(jwk, "crv", &curve_len);
	const char *name = kv_json_text(jwk, "alg", &name_len);
	const KvAlgorithm *default_algorithm = NULL;

	*algorithm = NULL;
	if (is(type, type_len, "RSA"))
		default_algorithm = kv_algorithm_find("RS256", 5);
	else if (is(type, type_len, "oct"))
		default_algorithm = kv_algorithm_find("HS256", 5);
	else if (is(type, type_len, "EC"))
	{
		if (curve == NULL)
			return KV_KEYS_VALUE;
		default_algorithm = kv_algorithm_of_curve(curve, curve_len);
	}
	if (name == NULL || default_algorithm == NULL)
	{
		*algorithm = default_algorithm;
		return KV_KEYS_OK;
	}

	*algorithm = kv_algorithm_find(name, name_len);
	if (*algorithm == NULL)
		return KV_KEYS_OK;
	if ((*algorithm)->type != default_algorithm->type ||
		((*algorithm)->curve != NULL && *algorithm != default_algorithm))
		return KV_KEYS_ALGORITHM;
	return KV_KEYS_OK;
}

/*
 * Decodes a member into a block that the caller frees by kv_jose_free(), also after a
 * fault, and gives libjose the member.
 */
static KvKeySetFault
take_number(const json_t *jwk, const char *name, json_t *taken, uint8_t **bytes, size_t *len)
{
	size_t		text_len;
	const char *text = kv_json_text(jwk, name, &text_len);

	*bytes = NULL;
	*len = 0;
	if (text == NULL)
		return KV_KEYS_VALUE;
	*len = KV_BASE64URL_BYTES(text_len);
	*bytes = kv_jose_alloc(*len);
	if (*bytes == NULL)
		return KV_KEYS_NO_MEMORY;
	if (!kv_base64url_decode(text, text_len, *bytes))
		return KV_KEYS_VALUE;
	if (json_object_set(taken, name, json_object_get(jwk, name)) != 0)
		return KV_KEYS_NO_MEMORY;
	return KV_KEYS_OK;
}

static KvKeySetFault
read_rsa(const json_t *jwk, KvKey *key)
{
	uint8_t    *modulus;
	uint8_t    *exponent = NULL;
	size_t		modulus_len;
	size_t		exponent_len;
	KvKeySetFault fault = take_number(jwk, "n", key->jwk, &modulus, &modulus_len);

	if (fault == KV_KEYS_OK)
		fault = take_number(jwk, "e", key->jwk, &exponent, &exponent_len);
	if (fault == KV_KEYS_OK)
		fault = kv_rsa_key_check(modulus, modulus_len, exponent, exponent_len, &key->signature_len);
	kv_jose_free(modulus);
	kv_jose_free(exponent);
	return fault;
}

/* Whether libjose and libcrypto take it: an EC key has to be a point of its curve. */
static bool
makes_a_key(const json_t *jwk)
{
	jose_cfg_t *quiet = kv_jose_quiet();
	EVP_PKEY   *made = quiet == NULL ? NULL : jose_openssl_jwk_to_EVP_PKEY(quiet, jwk);

	EVP_PKEY_free(made);
	ERR_clear_error();
	return made != NULL;
}

static KvKeySetFault
read_ec(const json_t *jwk, KvKey *key)
{
	static const char *const coordinates[] = {"x", "y"};
	KvKeySetFault fault = KV_KEYS_OK;

	for (int i = 0; i < 2 && fault == KV_KEYS_OK; i++)
	{
		uint8_t    *bytes;
		size_t		len;

		fault = take_number(jwk, coordinates[i], key->jwk, &bytes, &len);
		/* RFC 7518 section 6.2.1.2: leading zeros stay */
		if (fault == KV_KEYS_OK && len != key->algorithm->coordinate_len)
			fault = KV_KEYS_VALUE;
		kv_jose_free(bytes);
	}
	if (fault != KV_KEYS_OK)
		return fault;
	if (json_object_set_new(key->jwk, "crv", json_string(key->algorithm->curve)) != 0)
		return KV_KEYS_NO_MEMORY;
	key->signature_len = 2 * key->algorithm->coordinate_len;
	return makes_a_key(key->jwk) ? KV_KEYS_OK : KV_KEYS_NOT_ON_CURVE;
}

static KvKeySetFault
read_secret(const json_t *jwk, KvKey *key)
{
	uint8_t    *secret;
	size_t		len;
	KvKeySetFault fault = take_number(jwk, "k", key->jwk, &secret, &len);

	if (fault == KV_KEYS_OK && len < key->algorithm->hash_len)
		fault = KV_KEYS_SHORT_SECRET;
	if (fault == KV_KEYS_OK && len > KV_KEY_SECRET_MAX)
		fault = KV_KEYS_LONG_SECRET;
	key->signature_len = key->algorithm->hash_len;
	kv_jose_free(secret);
	return fault;
}

static KvKeySetFault
read_id(const json_t *jwk, KvKey *key)
{
	json_t	   *id = json_object_get(jwk, "kid");

	if (id == NULL)
		return KV_KEYS_OK;
	if (!json_is_string(id) || json_string_length(id) == 0 || json_string_length(id) > KV_KEY_ID_MAX)
		return KV_KEYS_ID;
	key->id = json_incref(id);
	return KV_KEYS_OK;
}

static KvKeySetFault
read_values(const json_t *jwk, KvKey *key)
{
	KvKeySetFault fault = read_id(jwk, key);

	if (fault != KV_KEYS_OK)
		return fault;
	key->jwk = json_pack("{s:s, s:s}", "kty", kv_key_type_name(key->algorithm->type),
						 "alg", key->algorithm->name);
	if (key->jwk == NULL)
		return KV_KEYS_NO_MEMORY;
	switch (key->algorithm->type)
	{
		case KV_KEY_RSA:
			return read_rsa(jwk, key);
		case KV_KEY_EC:
			return read_ec(jwk, key);
		case KV_KEY_SECRET:
			return read_secret(jwk, key);
	}
	return KV_KEYS_TYPE;
}

KvKeySetFault
kv_key_read(const json_t *jwk, KvKey *key, bool *usable)
{
	KvKeySetFault fault;
	const json_t *operations = json_object_get(jwk, "key_ops");

	memset(key, 0, sizeof(*key));
	*usable = false;
	if (!json_is_string(json_object_get(jwk, "kty")) || !text_or_nothing(jwk, "use") ||
		!text_or_nothing(jwk, "alg") || !text_or_nothing(jwk, "crv") ||
		(operations != NULL && !json_is_array(operations)))
		return KV_KEYS_TYPE;
	if (is_private(jwk))
		return KV_KEYS_PRIVATE;
	if (!for_verifying(jwk))
		return KV_KEYS_OK;
	fault = find_algorithm(jwk, &key->algorithm);
	if (fault != KV_KEYS_OK || key->algorithm == NULL)
		return fault;

	fault = read_values(jwk, key);
	if (fault == KV_KEYS_OK)
		*usable = true;
	else
		kv_key_clear(key);
	return fault;
}

void
kv_key_clear(KvKey *key)
{
	json_decref(key->id);
	json_decref(key->jwk);
	memset(key, 0, sizeof(*key));
}
