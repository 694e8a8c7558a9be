/*
 * token.c
 *		Verifies one token again and again: by libjose alone, or by all of src/jose.
 *
 *		token libjose|ours ALGORITHM COUNT
 *
 * token.sh counts the instructions.  libjose gets the token in its parts and the key as
 * objects, so that it has nothing to read.
 */
#define _GNU_SOURCE
#include "jose_maker.h"

static void
verify_by_libjose(const char *text, const json_t *jwk, long count)
{
	const char *dot = strchr(text, '.');
	const char *last = strrchr(text, '.');
	json_t	   *jws = json_pack("{s:s%, s:s%, s:s}", "protected", text, (size_t) (dot - text),
								"payload", dot + 1, (size_t) (last - dot - 1), "signature", last + 1);

	for (long i = 0; i < count; i++)
		if (!jose_jws_ver(NULL, jws, NULL, jwk, true))
			abort();
	json_decref(jws);
}

static void
verify_by_us(const char *text, const KvKeySet *set, long count)
{
	KvTokenSubject subject;

	for (long i = 0; i < count; i++)
		if (authenticate_bytes(text, strlen(text), set, &app_rules, &subject) != KV_TOKEN_OK)
			abort();
}

int
main(int argc, char **argv)
{
	char		header[60];
	json_t	   *key;
	json_t	   *public;
	KvKeySet   *set;
	char	   *text;
	long		count;

	if (argc != 4)
		return 2;
	count = strtol(argv[3], NULL, 10);
	key = private_key(argv[2], "it");
	public = public_key(key);
	set = set_of(key);
	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"it\",\"typ\":\"JWT\"}", argv[2]);
	text = signed_by(key, header, "{\"iss\":\"https://example.auth0.com/\",\"sub\":\"auth0|5f7c8ec7c33c6c004bbafe82\","
					 "\"aud\":[\"app\",\"https://example.auth0.com/userinfo\"],\"iat\":1699999990,\"exp\":1700000600,"
					 "\"azp\":\"my_client_id\",\"scope\":\"openid profile email\",\"org_id\":\"org_9yboqiTKwZ3Cb5hW\"}");
	/* what only the first one costs */
	verify_by_libjose(text, public, 2);
	verify_by_us(text, set, 2);
	if (strcmp(argv[1], "libjose") == 0)
		verify_by_libjose(text, public, count);
	else
		verify_by_us(text, set, count);
	free(text);
	kv_key_set_free(set);
	json_decref(public);
	json_decref(key);
	return 0;
}
