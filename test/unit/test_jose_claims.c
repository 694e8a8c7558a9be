/*
 * test_jose_claims.c
 *		Who a verified token is for, by whom, and when it is valid.
 */
#define _GNU_SOURCE
#include "jose_maker.h"
#include "tap.h"

static KvKeySet *set;

/* The outcome of a token with these claims, by some rules. */
static KvTokenFault
check_claims(const KvTokenRules *rules, const char *claims, KvTokenSubject *subject)
{
	char	   *text = hs256_claims(claims);
	KvTokenFault fault = authenticate_bytes(text, strlen(text), set, rules, subject);

	free(text);
	return fault;
}

/* The same, of the usual rules and of the usual claims but for those given. */
static KvTokenFault
with(const char *changes)
{
	json_t	   *claims = json_loads(CLAIMS, 0, NULL);
	json_t	   *changed = json_loads(changes, JSON_ALLOW_NUL, NULL);
	char	   *text;
	KvTokenFault fault;
	KvTokenSubject subject;

	json_object_update(claims, changed);
	text = json_dumps(claims, JSON_COMPACT);
	fault = check_claims(&app_rules, text, &subject);
	if (fault != KV_TOKEN_OK)
		check(subject.user_id[0] == '\0' && subject.not_after == 0);
	free(text);
	json_decref(changed);
	json_decref(claims);
	return fault;
}

static KvTokenFault
without(const char *name)
{
	json_t	   *claims = json_loads(CLAIMS, 0, NULL);
	char	   *text;
	KvTokenFault fault;
	KvTokenSubject subject;

	json_object_del(claims, name);
	text = json_dumps(claims, JSON_COMPACT);
	fault = check_claims(&app_rules, text, &subject);
	free(text);
	json_decref(claims);
	return fault;
}

static void
a_good_token_names_its_user(void)
{
	KvTokenSubject subject;

	require(check_claims(&app_rules, CLAIMS, &subject) == KV_TOKEN_OK);
	check(strcmp(subject.user_id, "user_a") == 0);
	check(subject.team_id[0] == '\0' && !subject.team_admin);
	check(subject.issued_at == 1699999990 * MICROS);
	check(subject.expires_at == 1700000600 * MICROS);
	check(subject.not_before == 0);
	check(subject.not_after == (1700000600 + 30) * MICROS);
}

static void
the_issuer_is_a_text(void)
{
	char		long_issuer[KV_TOKEN_ISSUER_MAX + 64];

	check(without("iss") == KV_TOKEN_ISSUER);
	check(with("{\"iss\":\"\"}") == KV_TOKEN_ISSUER);
	check(with("{\"iss\":null}") == KV_TOKEN_ISSUER);
	check(with("{\"iss\":[\"https://issuer\"]}") == KV_TOKEN_ISSUER);
	snprintf(long_issuer, sizeof(long_issuer), "{\"iss\":\"%0*d\"}", KV_TOKEN_ISSUER_MAX + 1, 0);
	check(with(long_issuer) == KV_TOKEN_ISSUER);
	snprintf(long_issuer, sizeof(long_issuer), "{\"iss\":\"%0*d\"}", KV_TOKEN_ISSUER_MAX, 0);
	check(with(long_issuer) == KV_TOKEN_OK);
}

static void
the_audience_is_ours(void)
{
	static const char *const two[] = {"web", "app"};
	KvTokenRules rules = app_rules;
	KvTokenSubject subject;

	check(with("{\"aud\":[\"other\",\"app\"]}") == KV_TOKEN_OK);
	check(without("aud") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":null}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":\"\"}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":[]}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":\"App\"}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":\"app2\"}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":\"ap\"}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":[[\"app\"]]}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":[\"app\",7]}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":{\"app\":true}}") == KV_TOKEN_AUDIENCE);
	check(with("{\"aud\":true}") == KV_TOKEN_AUDIENCE);

	rules.audiences = two;
	rules.audience_count = 2;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_OK);
	rules.audience_count = 1;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_AUDIENCE);
	rules.audience_count = 0;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_AUDIENCE);

	/* another claim's name: azp, client_id */
	rules = app_rules;
	rules.audience_claim = "azp";
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_AUDIENCE);
	check(check_claims(&rules, "{\"iss\":\"i\",\"azp\":\"app\",\"aud\":\"x\",\"sub\":\"u\",\"iat\":1699999990,\"exp\":1700000600}",
					   &subject) == KV_TOKEN_OK);
}

/* Each to the second, with a clock_skew of 30. */
static void
times_are_kept_to_the_second(void)
{
	check(with("{\"exp\":1699999971}") == KV_TOKEN_OK);
	check(with("{\"exp\":1699999970}") == KV_TOKEN_EXPIRED);
	check(with("{\"exp\":1699999970.5}") == KV_TOKEN_OK);
	check(with("{\"exp\":0}") == KV_TOKEN_EXPIRED);
	check(with("{\"iat\":1700000030}") == KV_TOKEN_OK);
	check(with("{\"iat\":1700000031}") == KV_TOKEN_ISSUED_AHEAD);
	check(with("{\"iat\":1700000030.5}") == KV_TOKEN_ISSUED_AHEAD);
	check(with("{\"nbf\":1700000030}") == KV_TOKEN_OK);
	check(with("{\"nbf\":1700000031}") == KV_TOKEN_NOT_YET);
	check(with("{\"nbf\":0}") == KV_TOKEN_OK);
	check(with("{\"iat\":1699913571}") == KV_TOKEN_OK);
	check(with("{\"iat\":1699913570}") == KV_TOKEN_TOO_OLD);
	check(with("{\"exp\":253402300799}") == KV_TOKEN_OK);
}

static void
times_are_sane_numbers(void)
{
	static const char *const odd[] = {
		"-1", "253402300800", "253402300799.5", "1e300", "-0.5", "9223372036854775807", "-9223372036854775808",
		"\"1700000600\"", "null", "true", "[1700000600]", "{}", "1e12"
	};
	char		claims[128];

	check(without("exp") == KV_TOKEN_NO_EXPIRY);
	check(without("iat") == KV_TOKEN_NO_ISSUE_TIME);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		for (int name = 0; name < 3; name++)
		{
			snprintf(claims, sizeof(claims), "{\"%s\":%s}", name == 0 ? "exp" : name == 1 ? "iat" : "nbf", odd[i]);
			if (!check(with(claims) == KV_TOKEN_TIME))
				printf("# %s\n", claims);
		}
}

/* What the caller's settings are must not overflow. */
static void
extreme_rules_do_not_overflow(void)
{
	KvTokenRules rules = app_rules;
	KvTokenSubject subject;

	rules.max_age = INT64_MAX;
	rules.clock_skew = INT64_MAX;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_OK);
	check(subject.not_after == INT64_MAX);
	rules.max_age = 0;
	rules.clock_skew = 0;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_TOO_OLD);
}

/* A remembered token is asked again at each use; the clock may jump either way. */
static void
a_remembered_subject_ends(void)
{
	KvTokenSubject subject;
	KvTokenRules rules = app_rules;

	require(check_claims(&app_rules, "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"u\",\"iat\":1699999990,"
						 "\"nbf\":1699999995,\"exp\":1700000600}", &subject) == KV_TOKEN_OK);
	check(kv_token_subject_valid(&subject, subject.not_after - 1) == KV_TOKEN_OK);
	check(kv_token_subject_valid(&subject, subject.not_after) == KV_TOKEN_EXPIRED);
	check(kv_token_subject_valid(&subject, INT64_MAX) == KV_TOKEN_EXPIRED);
	check(kv_token_subject_valid(&subject, (1699999995 - 30) * MICROS) == KV_TOKEN_OK);
	check(kv_token_subject_valid(&subject, (1699999995 - 30) * MICROS - 1) == KV_TOKEN_NOT_YET);
	check(kv_token_subject_valid(&subject, 0) == KV_TOKEN_NOT_YET);

	/* whichever comes first */
	rules.max_age = 60 * MICROS;
	require(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_OK);
	check(subject.not_after == (1699999990 + 60 + 30) * MICROS);
	check(kv_token_subject_valid(&subject, subject.not_after - 1) == KV_TOKEN_OK);
	check(kv_token_subject_valid(&subject, subject.not_after) == KV_TOKEN_TOO_OLD);
	check(kv_token_subject_valid(&subject, (1699999990 - 30) * MICROS - 1) == KV_TOKEN_ISSUED_AHEAD);
}

static void
the_user_is_a_text_of_255_bytes_at_most(void)
{
	char		claims[600];
	KvTokenRules rules = app_rules;
	KvTokenSubject subject;

	check(without("sub") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":\"\"}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":null}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":7}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":[\"user_a\"]}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":\"team:acme\"}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":\"team:\"}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":\"\\u0074eam:acme\"}") == KV_TOKEN_SUBJECT);
	check(with("{\"sub\":\"Team:acme\"}") == KV_TOKEN_OK);
	check(with("{\"sub\":\"team\"}") == KV_TOKEN_OK);
	snprintf(claims, sizeof(claims), "{\"sub\":\"%0255d\"}", 0);
	check(with(claims) == KV_TOKEN_OK);
	snprintf(claims, sizeof(claims), "{\"sub\":\"%0256d\"}", 0);
	check(with(claims) == KV_TOKEN_SUBJECT);

	/* the prefix counts, and can make a team of it */
	rules.user_prefix = "auth0|";
	require(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_OK);
	check(strcmp(subject.user_id, "auth0|user_a") == 0);
	check(check_claims(&rules, "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"team:acme\",\"iat\":1699999990,\"exp\":1700000600}",
					   &subject) == KV_TOKEN_SUBJECT);
	snprintf(claims, sizeof(claims),
			 "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"%0249d\",\"iat\":1699999990,\"exp\":1700000600}", 0);
	check(check_claims(&rules, claims, &subject) == KV_TOKEN_OK);
	check(strlen(subject.user_id) == 255);
	snprintf(claims, sizeof(claims),
			 "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"%0250d\",\"iat\":1699999990,\"exp\":1700000600}", 0);
	check(check_claims(&rules, claims, &subject) == KV_TOKEN_SUBJECT);
	memset(claims, 'x', sizeof(claims) - 1);
	claims[sizeof(claims) - 1] = '\0';
	rules.user_prefix = claims;
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_SUBJECT);
	rules.user_prefix = "te";
	check(check_claims(&rules, "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"am:acme\",\"iat\":1699999990,\"exp\":1700000600}",
					   &subject) == KV_TOKEN_SUBJECT);
}

/* A name with dots and slashes is a name, and no way into an object. */
static void
claims_are_members_of_the_top_level(void)
{
	KvTokenRules rules = app_rules;
	KvTokenSubject subject;

	rules.user_claim = "https://app.example/user.id";
	check(check_claims(&rules, "{\"iss\":\"i\",\"aud\":\"app\",\"https://app.example/user.id\":\"u\","
					   "\"iat\":1699999990,\"exp\":1700000600}", &subject) == KV_TOKEN_OK);
	rules.user_claim = "a.b";
	check(check_claims(&rules, "{\"iss\":\"i\",\"aud\":\"app\",\"a\":{\"b\":\"u\"},"
					   "\"iat\":1699999990,\"exp\":1700000600}", &subject) == KV_TOKEN_SUBJECT);
	rules.user_claim = "";
	check(check_claims(&rules, CLAIMS, &subject) == KV_TOKEN_SUBJECT);
}

static KvTokenFault
team_claims(const char *team, KvTokenSubject *subject)
{
	KvTokenRules rules = app_rules;
	char	   *claims;
	KvTokenFault fault;

	rules.team_claim = "org_id";
	rules.team_admin_claim = "org_admin";
	if (asprintf(&claims, "{\"iss\":\"i\",\"aud\":\"app\",\"sub\":\"u\",\"iat\":1699999990,\"exp\":1700000600%s}", team) < 0)
		return KV_TOKEN_NO_MEMORY;
	fault = check_claims(&rules, claims, subject);
	free(claims);
	return fault;
}

static void
a_team_is_a_claim_of_its_own(void)
{
	KvTokenSubject subject;
	char		claims[600];

	check(team_claims(",\"org_id\":\"acme\"", &subject) == KV_TOKEN_OK);
	check(strcmp(subject.team_id, "acme") == 0 && !subject.team_admin);
	check(team_claims(",\"org_id\":\"acme\",\"org_admin\":true", &subject) == KV_TOKEN_OK);
	check(strcmp(subject.team_id, "acme") == 0 && subject.team_admin);

	/* no team, and so no admin */
	check(team_claims(",\"org_admin\":true", &subject) == KV_TOKEN_OK);
	check(subject.team_id[0] == '\0' && !subject.team_admin);
	check(team_claims(",\"org_id\":null,\"org_admin\":true", &subject) == KV_TOKEN_OK);
	check(subject.team_id[0] == '\0' && !subject.team_admin);
	check(team_claims(",\"org_id\":\"\",\"org_admin\":true", &subject) == KV_TOKEN_OK);
	check(subject.team_id[0] == '\0' && !subject.team_admin);

	/* true, and nothing that is like it */
	check(team_claims(",\"org_id\":\"acme\",\"org_admin\":\"true\"", &subject) == KV_TOKEN_OK && !subject.team_admin);
	check(team_claims(",\"org_id\":\"acme\",\"org_admin\":1", &subject) == KV_TOKEN_OK && !subject.team_admin);
	check(team_claims(",\"org_id\":\"acme\",\"org_admin\":[true]", &subject) == KV_TOKEN_OK && !subject.team_admin);
	check(team_claims(",\"org_id\":\"acme\",\"org_admin\":false", &subject) == KV_TOKEN_OK && !subject.team_admin);

	check(team_claims(",\"org_id\":7", &subject) == KV_TOKEN_TEAM);
	check(team_claims(",\"org_id\":[\"acme\"]", &subject) == KV_TOKEN_TEAM);
	check(team_claims(",\"org_id\":{}", &subject) == KV_TOKEN_TEAM);
	check(team_claims(",\"org_id\":\"team:acme\"", &subject) == KV_TOKEN_TEAM);
	check(subject.user_id[0] == '\0');
	snprintf(claims, sizeof(claims), ",\"org_id\":\"%0250d\"", 0);
	check(team_claims(claims, &subject) == KV_TOKEN_OK);
	snprintf(claims, sizeof(claims), ",\"org_id\":\"%0251d\"", 0);
	check(team_claims(claims, &subject) == KV_TOKEN_TEAM);
}

static void
what_was_not_verified_is_refused(void)
{
	char	   *text = hs256_claims(CLAIMS);
	KvToken    *token;
	KvTokenSubject subject;

	require(kv_token_parse(text, strlen(text), &token) == KV_TOKEN_OK);
	check(kv_token_check(token, &app_rules, NOW * MICROS, &subject) == KV_TOKEN_SIGNATURE);
	check(kv_token_verify(token, set) == KV_TOKEN_OK);
	check(kv_token_check(token, &app_rules, NOW * MICROS, &subject) == KV_TOKEN_OK);
	kv_token_free(token);
	free(text);
}

/* Every fault has words of its own, in PostgreSQL's style. */
static void
faults_have_words(void)
{
	for (int i = 0; i <= KV_TOKEN_LIBRARY; i++)
	{
		const char *words = kv_token_fault_text((KvTokenFault) i);

		check(words[0] >= 'a' && words[0] <= 'z' && words[strlen(words) - 1] != '.');
		for (int j = 0; j < i; j++)
			check(strcmp(words, kv_token_fault_text((KvTokenFault) j)) != 0);
	}
	for (int i = 0; i <= KV_KEYS_LIBRARY; i++)
		for (int j = 0; j < i; j++)
			check(strcmp(kv_key_set_fault_text((KvKeySetFault) i), kv_key_set_fault_text((KvKeySetFault) j)) != 0);
	check(strcmp(kv_token_fault_text((KvTokenFault) (KV_TOKEN_LIBRARY + 1)), "unknown fault") == 0);
	check(strcmp(kv_key_set_fault_text((KvKeySetFault) (KV_KEYS_LIBRARY + 1)), "unknown fault") == 0);
}

int
main(void)
{
	set = secret_set();
	run(a_good_token_names_its_user);
	run(the_issuer_is_a_text);
	run(the_audience_is_ours);
	run(times_are_kept_to_the_second);
	run(times_are_sane_numbers);
	run(extreme_rules_do_not_overflow);
	run(a_remembered_subject_ends);
	run(the_user_is_a_text_of_255_bytes_at_most);
	run(claims_are_members_of_the_top_level);
	run(a_team_is_a_claim_of_its_own);
	run(what_was_not_verified_is_refused);
	run(faults_have_words);
	kv_key_set_free(set);
	return finish();
}
