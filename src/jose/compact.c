/*
 * compact.c
 *		A signed text in compact form.
 *
 * libjose alone takes white space and stray characters in base64, members that stand
 * twice, and an RS256 signature by a key that is for PS256.  So it gets only what was
 * read here, and a key whose algorithm is the header's.
 */
#include <string.h>
#include <strings.h>

#include <openssl/err.h>

#include "base64url.h"
#include "compact.h"
#include "key_set_keys.h"
#include "memory.h"

#define PARTS		3
#define JWE_PARTS	5

typedef struct Part
{
	const char *text;
	size_t		len;
} Part;

/* Splits at the dots. */
static KvTokenFault
split(const char *text, size_t len, Part parts[static PARTS])
{
	size_t		count = 1;
	const char *end = text + len;
	const char *dot;

	while ((dot = memchr(text, '.', (size_t) (end - text))) != NULL)
	{
		if (count <= PARTS)
		{
			parts[count - 1].text = text;
			parts[count - 1].len = (size_t) (dot - text);
		}
		text = dot + 1;
		count++;
	}
	if (count == JWE_PARTS)
		return KV_TOKEN_ENCRYPTED;
	if (count != PARTS)
		return KV_TOKEN_NOT_COMPACT;
	parts[PARTS - 1].text = text;
	parts[PARTS - 1].len = (size_t) (end - text);
	/* An empty payload is one; an empty signature has no key's length */
	return parts[0].len == 0 ? KV_TOKEN_NOT_COMPACT : KV_TOKEN_OK;
}

/* Decodes a part into a block for kv_jose_free(). */
static KvTokenFault
decode(Part part, uint8_t **bytes, size_t *len)
{
	*len = KV_BASE64URL_BYTES(part.len);
	*bytes = kv_jose_alloc(*len);
	if (*bytes == NULL)
		return KV_TOKEN_NO_MEMORY;
	if (kv_base64url_decode(part.text, part.len, *bytes))
		return KV_TOKEN_OK;
	kv_jose_free(*bytes);
	*bytes = NULL;
	return KV_TOKEN_BASE64URL;
}

KvTokenFault
kv_token_json_fault(KvJsonFault fault, KvTokenFault syntax)
{
	switch (fault)
	{
		case KV_JSON_OK:
			return KV_TOKEN_OK;
		case KV_JSON_DUPLICATE:
			return KV_TOKEN_DUPLICATE;
		case KV_JSON_DEPTH:
			return KV_TOKEN_TOO_DEEP;
		case KV_JSON_NO_MEMORY:
			return KV_TOKEN_NO_MEMORY;
		case KV_JSON_SYNTAX:
			break;
	}
	return syntax;
}

static KvTokenFault
look_at_header(KvJws *jws)
{
	const json_t *id = json_object_get(jws->header, "kid");
	size_t		len;
	const char *name = kv_json_text(jws->header, "alg", &len);

	if (json_object_get(jws->header, "enc") != NULL)
		return KV_TOKEN_ENCRYPTED;
	if (json_object_get(jws->header, "crit") != NULL)
		return KV_TOKEN_CRITICAL;
	if (name == NULL || (id != NULL && !json_is_string(id)))
		return KV_TOKEN_HEADER;
	if (len == 4 && strncasecmp(name, "none", 4) == 0)
		return KV_TOKEN_UNSIGNED;
	jws->algorithm = kv_algorithm_find(name, len);
	return jws->algorithm == NULL ? KV_TOKEN_ALGORITHM : KV_TOKEN_OK;
}

static KvTokenFault
read_header(Part part, KvJws *jws)
{
	uint8_t    *bytes;
	size_t		len;
	KvTokenFault fault = decode(part, &bytes, &len);

	if (fault == KV_TOKEN_OK)
		fault = kv_token_json_fault(kv_json_object((const char *) bytes, len, &jws->header), KV_TOKEN_HEADER);
	kv_jose_free(bytes);
	return fault == KV_TOKEN_OK ? look_at_header(jws) : fault;
}

static KvTokenFault
read_signature(Part part, KvJws *jws)
{
	uint8_t    *bytes;
	KvTokenFault fault = decode(part, &bytes, &jws->signature_len);

	kv_jose_free(bytes);
	return fault;
}

/* What libjose verifies: the parts, each as it stands. */
static KvTokenFault
keep_parts(const Part parts[static PARTS], KvJws *jws)
{
	static const char *const names[PARTS] = {"protected", "payload", "signature"};

	jws->parts = json_object();
	for (int i = 0; i < PARTS; i++)
		if (json_object_set_new(jws->parts, names[i],
								json_stringn_nocheck(parts[i].text, parts[i].len)) != 0)
			return KV_TOKEN_NO_MEMORY;
	return KV_TOKEN_OK;
}

KvTokenFault
kv_jws_parse(const char *text, size_t len, KvJws *jws, uint8_t **payload, size_t *payload_len)
{
	Part		parts[PARTS];
	KvTokenFault fault;

	memset(jws, 0, sizeof(*jws));
	*payload = NULL;
	*payload_len = 0;
	if (!kv_jose_ready())
		return KV_TOKEN_LIBRARY;
	if (len > KV_TOKEN_MAX)
		return KV_TOKEN_TOO_LONG;
	fault = split(text, len, parts);
	if (fault == KV_TOKEN_OK)
		fault = read_header(parts[0], jws);
	if (fault == KV_TOKEN_OK)
		fault = read_signature(parts[2], jws);
	if (fault == KV_TOKEN_OK)
		fault = decode(parts[1], payload, payload_len);
	if (fault == KV_TOKEN_OK)
		fault = keep_parts(parts, jws);
	if (fault != KV_TOKEN_OK)
	{
		kv_jose_free(*payload);
		*payload = NULL;
		*payload_len = 0;
		kv_jws_clear(jws);
	}
	return fault;
}

static KvTokenFault
verify_with(const KvJws *jws, const KvKey *key)
{
	jose_cfg_t *quiet = kv_jose_quiet();
	bool		verified;

	if (key->algorithm != jws->algorithm)
		return KV_TOKEN_KEY_ALGORITHM;
	if (key->signature_len != jws->signature_len)
		return KV_TOKEN_SIGNATURE;
	if (quiet == NULL)
		return KV_TOKEN_NO_MEMORY;
	verified = jose_jws_ver(quiet, jws->parts, jws->parts, key->jwk, true);

	/* What it left in the queue would be taken for a failure of the next user's */
	ERR_clear_error();
	return verified ? KV_TOKEN_OK : KV_TOKEN_SIGNATURE;
}

/* For a token that does not say which key signed it. */
static KvTokenFault
try_keys(const KvJws *jws, const KvKeySet *set)
{
	const KvKey *keys[KV_JWS_TRIES_MAX];
	size_t		count = 0;
	KvTokenFault fault = KV_TOKEN_UNKNOWN_KEY;

	for (size_t i = 0; i < kv_key_set_count(set); i++)
	{
		const KvKey *key = kv_key_set_key(set, i);

		if (key->algorithm != jws->algorithm)
			continue;
		if (count == KV_JWS_TRIES_MAX)
			return KV_TOKEN_KEY_UNNAMED;
		keys[count++] = key;
	}
	for (size_t i = 0; i < count; i++)
	{
		fault = verify_with(jws, keys[i]);
		if (fault == KV_TOKEN_OK)
			return fault;
	}
	return fault;
}

KvTokenFault
kv_jws_verify(const KvJws *jws, const KvKeySet *set)
{
	size_t		len;
	const char *id = kv_json_text(jws->header, "kid", &len);
	const KvKey *key;

	if (id == NULL)
		return try_keys(jws, set);
	key = kv_key_set_find(set, id, len);
	return key == NULL ? KV_TOKEN_UNKNOWN_KEY : verify_with(jws, key);
}

void
kv_jws_clear(KvJws *jws)
{
	json_decref(jws->header);
	json_decref(jws->parts);
	memset(jws, 0, sizeof(*jws));
}
