/*
 * test_jose_million.c
 *		Memory stays as it is while tokens come and go.
 *
 * 20,000 tokens, or with KV_LONG=1 a million.  Built without sanitizers, which keep what
 * is freed.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <unistd.h>

#include <openssl/err.h>

#include "jose_maker.h"
#include "tap.h"

#define WARM_UP	(32 * 7 * 20)	/* tokens until libcrypto and malloc have all that they keep */

/* What tokens come by: good, or bad in one way each. */
enum
{
	HS256,
	RS256,
	ES256,
	BAD_SIGNATURE,
	BAD_CLAIMS,
	BAD_HEADER,
	EXPIRED,
	KINDS
};

static char *tokens[KINDS];
static KvKeySet *sets[KINDS];
static KvTokenFault outcomes[KINDS];

static void
make_kind(int kind, const char *algorithm, const char *claims, KvTokenFault expected)
{
	char		header[60];
	json_t	   *key = private_key(algorithm, "it");

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"it\"}", algorithm);
	tokens[kind] = signed_by(key, header, claims);
	sets[kind] = set_of(key);
	outcomes[kind] = expected;
	json_decref(key);
}

static void
run_tokens(long count)
{
	KvTokenSubject subject;

	for (long i = 0; i < count; i++)
	{
		/* Public keys take their time: one in 32 */
		int			kind = i % 32 == 0 ? (int) (i / 32) % KINDS : i % 2 == 0 ? HS256 : EXPIRED;

		check(authenticate_bytes(tokens[kind], strlen(tokens[kind]), sets[kind], &app_rules, &subject) == outcomes[kind]);
	}
}

static void
memory_stays_as_it_is(void)
{
	const char *is_long = getenv("KV_LONG");
	long		count = is_long != NULL && is_long[0] != '\0' ? 1000000 : 20000;
	struct mallinfo2 before;
	struct mallinfo2 after;

	run_tokens(WARM_UP);
	before = mallinfo2();
	run_tokens(count);
	after = mallinfo2();
	printf("# %ld tokens: %zu bytes in use before, %zu after; arena %zu and %zu\n", count,
		   before.uordblks, after.uordblks, before.arena, after.arena);
	check(after.uordblks == before.uordblks);
	check(after.arena == before.arena);
	check(after.hblks == before.hblks);
	check(ERR_peek_error() == 0);
}

/* A set is read anew whenever an issuer changes. */
static void
sets_that_come_and_go_leave_nothing(void)
{
	json_t	   *rsa = private_key("RS256", "rsa");
	json_t	   *ec = private_key("ES384", "ec");
	json_t	   *one = public_key(rsa);
	json_t	   *two = public_key(ec);
	char	   *good = set_text(one, two);
	char	   *bad = set_text(one, rsa);
	struct mallinfo2 before = {0};

	for (int i = 0; i < 2000; i++)
	{
		KvKeySet   *set;
		size_t		number;

		if (i == 100)
			before = mallinfo2();
		check(kv_key_set_parse(good, strlen(good), &set, &number) == KV_KEYS_OK);
		kv_key_set_free(set);
		check(kv_key_set_parse(bad, strlen(bad), &set, &number) == KV_KEYS_PRIVATE && number == 2);
	}
	check(mallinfo2().uordblks == before.uordblks);
	json_decref(rsa);
	json_decref(ec);
	json_decref(one);
	json_decref(two);
	free(good);
	free(bad);
}

/* A character of base64url that it was not before. */
static void
change(char *character)
{
	*character = *character == 'A' ? 'B' : 'A';
}

int
main(int argc, char **argv)
{
	(void) argc;
	/* Otherwise what each thread keeps for its next malloc counts as in use */
	if (getenv("GLIBC_TUNABLES") == NULL)
	{
		setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
		execv("/proc/self/exe", argv);
		puts("Bail out! it cannot start itself again");
		return 1;
	}
	make_kind(HS256, "HS256", CLAIMS, KV_TOKEN_OK);
	make_kind(RS256, "RS256", CLAIMS, KV_TOKEN_OK);
	make_kind(ES256, "ES256", CLAIMS, KV_TOKEN_OK);
	make_kind(BAD_SIGNATURE, "PS256", CLAIMS, KV_TOKEN_SIGNATURE);
	change(&tokens[BAD_SIGNATURE][strlen(tokens[BAD_SIGNATURE]) - 9]);
	make_kind(BAD_CLAIMS, "HS256", "{\"sub\":\"a\",\"sub\":\"b\"}", KV_TOKEN_DUPLICATE);
	make_kind(BAD_HEADER, "HS256", CLAIMS, KV_TOKEN_HEADER);
	memcpy(tokens[BAD_HEADER], "eyJA", 4);
	make_kind(EXPIRED, "HS256", "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"u\",\"iat\":1,\"exp\":2}", KV_TOKEN_EXPIRED);
	run(memory_stays_as_it_is);
	run(sets_that_come_and_go_leave_nothing);
	return finish();
}
