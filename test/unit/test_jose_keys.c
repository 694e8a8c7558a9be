/*
 * test_jose_keys.c
 *		Which sets of keys an issuer may have, and what each key is for.
 */
#define _GNU_SOURCE
#include "jose_maker.h"
#include "tap.h"

#define X_256	"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY"
#define Y_256	"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"
#define EC_KEY_OF(kid) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"" kid "\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}"
#define OCT_32	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static json_t *rsa;				/* a private key of 2048 bits, for RS256 */

static KvKeySetFault
parse_bytes(const char *json, size_t len, size_t *number)
{
	KvKeySet   *set;
	KvKeySetFault fault = kv_key_set_parse(json, len, &set, number);

	check((set != NULL) == (fault == KV_KEYS_OK));
	kv_key_set_free(set);
	return fault;
}

static KvKeySetFault
parse(const char *json)
{
	size_t		number;

	return parse_bytes(json, strlen(json), &number);
}

/* The fault of a set of one key; where it is must be told. */
static KvKeySetFault
parse_key(const char *key)
{
	char	   *json;
	size_t		number;
	KvKeySetFault fault;

	if (asprintf(&json, "{\"keys\":[%s]}", key) < 0)
		return KV_KEYS_NO_MEMORY;
	fault = parse_bytes(json, strlen(json), &number);
	check(number == (fault == KV_KEYS_OK || fault == KV_KEYS_NONE || fault == KV_KEYS_DUPLICATE ||
					 fault == KV_KEYS_TOO_DEEP ? 0 : 1));
	free(json);
	return fault;
}

/* The public part of the RSA key, with some members changed, as the only key. */
static KvKeySetFault
rsa_with(const char *changes)
{
	json_t	   *key = public_key(rsa);
	json_t	   *changed = json_loads(changes, 0, NULL);
	char	   *text;
	KvKeySetFault fault;

	json_object_update(key, changed);
	text = json_dumps(key, JSON_COMPACT);
	fault = parse_key(text);
	free(text);
	json_decref(changed);
	json_decref(key);
	return fault;
}

/* Which algorithm a key is for; "" when the set is refused. */
static const char *
algorithm_of(const char *key)
{
	char	   *json;
	KvKeySet   *set;
	size_t		number;
	const char *algorithm = "";

	if (asprintf(&json, "{\"keys\":[%s]}", key) < 0)
		return "";
	if (kv_key_set_parse(json, strlen(json), &set, &number) == KV_KEYS_OK)
		algorithm = kv_key_set_info(set, 0).algorithm;
	kv_key_set_free(set);
	free(json);
	return algorithm;
}

static void
a_set_is_an_object_with_keys(void)
{
	static const char *const others[] = {
		"", "[]", "null", "{}", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":\"x\"}", "{\"keys\":[7]}",
		"{\"keys\":[[]]}", "{\"keys\":[null]}", "{\"keys\":[" EC_KEY_OF("a") "]} ,", "{\"keys\":[" EC_KEY_OF("a") "]}x",
		"\xef\xbb\xbf{\"keys\":[" EC_KEY_OF("a") "]}", EC_KEY_OF("a"), "[" EC_KEY_OF("a") "]",
		"{\"keys\":[" EC_KEY_OF("\xff") "]}", "{\"keys\":[" EC_KEY_OF("a\\u0000b") "]}"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!check(parse(others[i]) == KV_KEYS_NOT_A_SET))
			printf("# %s\n", others[i]);
	check(parse("{\"keys\":[]}") == KV_KEYS_NONE);
	check(parse(" {\"keys\" : [" EC_KEY_OF("a") "], \"more\": {\"a\":[1]}}\n ") == KV_KEYS_OK);
	check(parse("{\"keys\":[" EC_KEY_OF("a") "],\"keys\":[]}") == KV_KEYS_DUPLICATE);
	check(parse_key("{\"kty\":\"EC\",\"kty\":\"RSA\"}") == KV_KEYS_DUPLICATE);
	check(parse_key("{\"kty\":\"oct\",\"k\":\"" OCT_32 "\",\"\\u006b\":\"" OCT_32 "\"}") == KV_KEYS_DUPLICATE);
	check(parse_key("{\"kty\":\"EC\",\"x5c\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}") == KV_KEYS_TOO_DEEP);
}

/* Bytes behind the length do not count, and no NUL is needed. */
static void
the_length_is_kept(void)
{
	static const char json[] = "{\"keys\":[" EC_KEY_OF("a") "]}garbage";
	size_t		len = strlen(json) - strlen("garbage");
	char	   *copy = malloc(len);
	size_t		number;

	memcpy(copy, json, len);
	check(parse_bytes(copy, len, &number) == KV_KEYS_OK);
	check(parse_bytes(copy, len - 1, &number) == KV_KEYS_NOT_A_SET);
	free(copy);
}

static void
sizes_and_counts_have_limits(void)
{
	size_t		size = KV_KEY_SET_MAX + 1;
	char	   *json = malloc(size);
	static const char set[] = "{\"keys\":[" EC_KEY_OF("a") "]}";
	size_t		number;
	char	   *many = NULL;

	memset(json, ' ', size);
	memcpy(json, set, strlen(set));
	check(parse_bytes(json, size - 1, &number) == KV_KEYS_OK);
	check(parse_bytes(json, size, &number) == KV_KEYS_TOO_LONG);
	free(json);

	for (int count = KV_KEY_SET_MAX_KEYS; count <= KV_KEY_SET_MAX_KEYS + 1; count++)
	{
		size_t		len;
		FILE	   *out = open_memstream(&many, &len);

		fputs("{\"keys\":[", out);
		for (int i = 0; i < count; i++)
			fprintf(out, "%s{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%d\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
					i == 0 ? "" : ",", i);
		fputs("]}", out);
		fclose(out);
		check(parse(many) == (count <= KV_KEY_SET_MAX_KEYS ? KV_KEYS_OK : KV_KEYS_TOO_MANY));
		free(many);
	}
}

static void
keys_have_one_algorithm(void)
{
	json_t	   *key = public_key(rsa);
	char	   *text;

	check(strcmp(algorithm_of(EC_KEY_OF("a")), "ES256") == 0);
	check(strcmp(algorithm_of("{\"kty\":\"oct\",\"k\":\"" OCT_32 "\"}"), "HS256") == 0);

	/* PS256 is no default: it has to be asked for */
	json_object_del(key, "alg");
	text = json_dumps(key, 0);
	check(strcmp(algorithm_of(text), "RS256") == 0);
	free(text);
	json_object_set_new(key, "alg", json_string("PS256"));
	text = json_dumps(key, 0);
	check(strcmp(algorithm_of(text), "PS256") == 0);
	free(text);
	json_decref(key);

	/* an algorithm of another type or curve is a mistake */
	check(rsa_with("{\"alg\":\"ES256\"}") == KV_KEYS_ALGORITHM);
	check(rsa_with("{\"alg\":\"HS256\"}") == KV_KEYS_ALGORITHM);
	check(parse_key("{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" OCT_32 "\"}") == KV_KEYS_ALGORITHM);
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES384\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}") == KV_KEYS_ALGORITHM);
	check(parse_key("{\"kty\":\"EC\",\"alg\":\"ES256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}") == KV_KEYS_VALUE);
}

/* RFC 7517 section 5: what is not understood is ignored, as long as something is left. */
static void
keys_for_other_ends_are_skipped(void)
{
	static const char *const others[] = {
		"{\"kty\":\"EC\",\"use\":\"enc\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"EC\",\"use\":\"SIG\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"EC\",\"use\":\"sig\",\"key_ops\":[\"encrypt\"],\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"EC\",\"key_ops\":[],\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"oct\",\"key_ops\":[\"sign\"],\"k\":\"" OCT_32 "\"}",
		"{\"kty\":\"oct\",\"alg\":\"A256GCM\",\"k\":\"" OCT_32 "\"}",
		"{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
		"{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
		"{\"kty\":\"none\"}", "{\"kty\":\"\"}"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		char	   *json;
		KvKeySet   *set;

		if (!check(parse_key(others[i]) == KV_KEYS_NONE))
			printf("# %s\n", others[i]);
		if (asprintf(&json, "{\"keys\":[%s,%s]}", others[i], EC_KEY_OF("a")) < 0)
			return;
		set = good_set(json);
		check(kv_key_set_count(set) == 1 && kv_key_set_skipped(set) == 1);
		check(strcmp(kv_key_set_info(set, 0).id, "a") == 0);
		kv_key_set_free(set);
		free(json);
	}
	check(rsa_with("{\"use\":\"sig\",\"key_ops\":[\"sign\",\"verify\"]}") == KV_KEYS_OK);
}

static void
members_have_their_type(void)
{
	check(parse_key("{}") == KV_KEYS_TYPE);
	check(parse_key("{\"kty\":7}") == KV_KEYS_TYPE);
	check(parse_key("{\"KTY\":\"oct\",\"k\":\"" OCT_32 "\"}") == KV_KEYS_TYPE);
	check(rsa_with("{\"use\":true}") == KV_KEYS_TYPE);
	check(rsa_with("{\"alg\":[\"RS256\"]}") == KV_KEYS_TYPE);
	check(rsa_with("{\"alg\":null}") == KV_KEYS_TYPE);
	check(rsa_with("{\"key_ops\":\"verify\"}") == KV_KEYS_TYPE);
	check(rsa_with("{\"n\":7}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":null}") == KV_KEYS_VALUE);
	check(rsa_with("{\"kid\":7}") == KV_KEYS_ID);
	check(rsa_with("{\"kid\":\"\"}") == KV_KEYS_ID);
	check(rsa_with("{\"kid\":null}") == KV_KEYS_ID);
	check(parse_key("{\"kty\":\"oct\"}") == KV_KEYS_VALUE);
}

static void
ids_are_unique_and_short(void)
{
	char		key[600];

	check(parse("{\"keys\":[" EC_KEY_OF("a") "," EC_KEY_OF("b") "]}") == KV_KEYS_OK);
	check(parse("{\"keys\":[" EC_KEY_OF("a") "," EC_KEY_OF("a") "]}") == KV_KEYS_SAME_ID);
	check(parse("{\"keys\":[" EC_KEY_OF("a") "," EC_KEY_OF("\\u0061") "]}") == KV_KEYS_SAME_ID);
	snprintf(key, sizeof(key), "{\"kty\":\"oct\",\"kid\":\"%0255d\",\"k\":\"" OCT_32 "\"}", 0);
	check(parse_key(key) == KV_KEYS_OK);
	snprintf(key, sizeof(key), "{\"kty\":\"oct\",\"kid\":\"%0256d\",\"k\":\"" OCT_32 "\"}", 0);
	check(parse_key(key) == KV_KEYS_ID);
}

/* Somebody pasted the private key: of any type, and whatever it is for. */
static void
private_keys_are_refused(void)
{
	char	   *text = json_dumps(rsa, JSON_COMPACT);

	check(parse_key(text) == KV_KEYS_PRIVATE);
	free(text);
	check(rsa_with("{\"p\":\"AQAB\"}") == KV_KEYS_PRIVATE);
	check(rsa_with("{\"use\":\"enc\",\"d\":\"AQAB\"}") == KV_KEYS_PRIVATE);
	check(rsa_with("{\"d\":null}") == KV_KEYS_PRIVATE);
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"" X_256 "\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}") == KV_KEYS_PRIVATE);
	check(parse_key("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"" X_256 "\",\"x\":\"" X_256 "\"}") == KV_KEYS_PRIVATE);
}

/* Secrets beside public keys are where a public key is taken for a secret. */
static void
secrets_and_public_keys_do_not_mix(void)
{
	check(parse("{\"keys\":[" EC_KEY_OF("a") ",{\"kty\":\"oct\",\"k\":\"" OCT_32 "\"}]}") == KV_KEYS_MIXED);
	check(parse("{\"keys\":[{\"kty\":\"oct\",\"k\":\"" OCT_32 "\"}," EC_KEY_OF("a") "]}") == KV_KEYS_MIXED);
	check(parse("{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"" OCT_32 "\"}," EC_KEY_OF("a") "]}") == KV_KEYS_OK);
}

/* A modulus of this many bits, all ones but for the first and what makes it a good one. */
static void
modulus_of(int bits, char *text)
{
	unsigned char bytes[KV_KEY_RSA_MAX_BITS / 8 + 1];
	size_t		len = (size_t) (bits + 7) / 8;
	char	   *made;

	memset(bytes, 0x5a, len);
	bytes[0] = (unsigned char) (1 << ((bits - 1) % 8));
	bytes[len - 1] = 1;
	made = base64url(bytes, len);
	sprintf(text, "{\"n\":\"%s\"}", made);
	free(made);
}

static void
weak_rsa_keys_are_refused(void)
{
	char		text[KV_KEY_RSA_MAX_BITS / 4];
	char	   *copy;
	json_t	   *key = public_key(rsa);

	modulus_of(2048, text);
	check(rsa_with(text) == KV_KEYS_OK);
	modulus_of(2047, text);
	check(rsa_with(text) == KV_KEYS_SHORT_RSA);
	modulus_of(8192, text);
	check(rsa_with(text) == KV_KEYS_OK);
	modulus_of(8193, text);
	check(rsa_with(text) == KV_KEYS_SHORT_RSA);
	check(rsa_with("{\"n\":\"\"}") == KV_KEYS_SHORT_RSA);
	check(rsa_with("{\"n\":\"AA\"}") == KV_KEYS_SHORT_RSA);

	/* leading zeros count for nothing, and do no harm */
	if (asprintf(&copy, "{\"n\":\"AAAA%s\"}", json_string_value(json_object_get(key, "n"))) < 0)
		return;
	check(rsa_with(copy) == KV_KEYS_OK);
	free(copy);

	check(rsa_with("{\"e\":\"Aw\"}") == KV_KEYS_OK);
	check(rsa_with("{\"e\":\"AAEAAQ\"}") == KV_KEYS_OK);
	check(rsa_with("{\"e\":\"_____w\"}") == KV_KEYS_OK);
	check(rsa_with("{\"e\":\"AQ\"}") == KV_KEYS_EXPONENT);
	check(rsa_with("{\"e\":\"AA\"}") == KV_KEYS_EXPONENT);
	check(rsa_with("{\"e\":\"\"}") == KV_KEYS_EXPONENT);
	check(rsa_with("{\"e\":\"AQAA\"}") == KV_KEYS_EXPONENT);
	check(rsa_with("{\"e\":\"AQAAAAE\"}") == KV_KEYS_EXPONENT);
	json_decref(key);

	/* even: no product of two primes */
	modulus_of(2048, text);
	text[strlen(text) - 3] = 'A';
	check(rsa_with(text) == KV_KEYS_VALUE);
}

static void
numbers_are_canonical_base64url(void)
{
	check(rsa_with("{\"e\":\"AQAB=\"}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":\"AQ AB\"}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":\"AQABA\"}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":\"B\"}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":\"Ax\"}") == KV_KEYS_VALUE);
	check(rsa_with("{\"e\":\"++++\"}") == KV_KEYS_VALUE);
	check(parse_key("{\"kty\":\"oct\",\"k\":\"" OCT_32 "=\"}") == KV_KEYS_VALUE);
}

static void
points_are_on_their_curve(void)
{
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" X_256 "\"}") == KV_KEYS_NOT_ON_CURVE);
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}") == KV_KEYS_VALUE);
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"\"}") == KV_KEYS_VALUE);
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA" X_256 "\",\"y\":\"" Y_256 "\"}") == KV_KEYS_VALUE);
	/* (0, 0), which stands for the point at infinity in places */
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
					"\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}") == KV_KEYS_NOT_ON_CURVE);
	/* coordinates beyond the field */
	check(parse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"__________________________________________8\","
					"\"y\":\"__________________________________________8\"}") == KV_KEYS_NOT_ON_CURVE);
}

/* RFC 7518 section 3.2: as long as the hash, at least. */
static void
secrets_have_a_length(void)
{
	static const struct
	{
		const char *algorithm;
		size_t		least;
	}			cases[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};
	unsigned char secret[KV_KEY_SECRET_MAX + 1] = {7};

	for (int i = 0; i < 3; i++)
		for (size_t len = 0; len <= sizeof(secret); len++)
		{
			char	   *k;
			char		key[2000];

			if (len == cases[i].least + 2)
				len = KV_KEY_SECRET_MAX;
			k = base64url(secret, len);
			snprintf(key, sizeof(key), "{\"kty\":\"oct\",\"alg\":\"%s\",\"k\":\"%s\"}", cases[i].algorithm, k);
			check(parse_key(key) == (len < cases[i].least ? KV_KEYS_SHORT_SECRET :
									 len > KV_KEY_SECRET_MAX ? KV_KEYS_LONG_SECRET : KV_KEYS_OK));
			free(k);
		}
}

static void
what_is_shown_is_no_secret(void)
{
	KvKeySet   *set = secret_set();
	KvKeyInfo	info = kv_key_set_info(set, 0);

	check(kv_key_set_count(set) == 1 && kv_key_set_skipped(set) == 0);
	check(strcmp(info.id, "one") == 0 && strcmp(info.algorithm, "HS256") == 0 && strcmp(info.type, "oct") == 0);
	check(info.symmetric);
	kv_key_set_free(set);

	set = good_set("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}]}");
	info = kv_key_set_info(set, 0);
	check(info.id == NULL && strcmp(info.type, "EC") == 0 && !info.symmetric);
	kv_key_set_free(set);
	kv_key_set_free(NULL);
}

int
main(void)
{
	rsa = private_key("RS256", "rsa");
	run(a_set_is_an_object_with_keys);
	run(the_length_is_kept);
	run(sizes_and_counts_have_limits);
	run(keys_have_one_algorithm);
	run(keys_for_other_ends_are_skipped);
	run(members_have_their_type);
	run(ids_are_unique_and_short);
	run(private_keys_are_refused);
	run(secrets_and_public_keys_do_not_mix);
	run(weak_rsa_keys_are_refused);
	run(numbers_are_canonical_base64url);
	run(points_are_on_their_curve);
	run(secrets_have_a_length);
	run(what_is_shown_is_no_secret);
	json_decref(rsa);
	return finish();
}
