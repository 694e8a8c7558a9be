/*
 * claims.c
 *		What a token's claims say, by an issuer's rules.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "claims.h"
#include "strict_json.h"

#define SECOND		INT64_C(1000000)	/* microseconds */
#define SECONDS_MAX	INT64_C(253402300799)	/* the last second of the year 9999 */
#define TEAM_PREFIX	"team:"

static bool
begins_with_team(const char *text)
{
	return strncmp(text, TEAM_PREFIX, strlen(TEAM_PREFIX)) == 0;
}

static bool
is_one_of(const json_t *text, const KvTokenRules *rules)
{
	const char *audience = json_string_value(text);

	for (size_t i = 0; i < rules->audience_count; i++)
		if (strcmp(rules->audiences[i], audience) == 0)
			return true;
	return false;
}

/* One text, or an array of nothing but texts (RFC 7519 section 4.1.3). */
static KvTokenFault
check_audience(const json_t *claims, const KvTokenRules *rules)
{
	const json_t *claim = json_object_get(claims, rules->audience_claim);
	bool		found = false;

	if (json_is_string(claim))
		return is_one_of(claim, rules) ? KV_TOKEN_OK : KV_TOKEN_AUDIENCE;
	for (size_t i = 0; i < json_array_size(claim); i++)
	{
		if (!json_is_string(json_array_get(claim, i)))
			return KV_TOKEN_AUDIENCE;
		found = found || is_one_of(json_array_get(claim, i), rules);
	}
	return found ? KV_TOKEN_OK : KV_TOKEN_AUDIENCE;
}

/*
 * A NumericDate (RFC 7519 section 2), which may have a fraction; KV_TOKEN_TIME unless it
 * is a time that can be told apart from a mistake.
 */
static KvTokenFault
read_time(const json_t *claim, int64_t *time)
{
	if (json_is_integer(claim))
	{
		json_int_t	seconds = json_integer_value(claim);

		if (seconds < 0 || seconds > SECONDS_MAX)
			return KV_TOKEN_TIME;
		*time = seconds * SECOND;
		return KV_TOKEN_OK;
	}
	if (json_is_real(claim))
	{
		double		seconds = json_real_value(claim);

		if (!(seconds >= 0 && seconds <= (double) SECONDS_MAX))
			return KV_TOKEN_TIME;
		*time = (int64_t) (seconds * (double) SECOND);
		return KV_TOKEN_OK;
	}
	return KV_TOKEN_TIME;
}

static KvTokenFault
read_times(const json_t *claims, KvTokenSubject *subject)
{
	const json_t *expiry = json_object_get(claims, "exp");
	const json_t *issue = json_object_get(claims, "iat");
	const json_t *start = json_object_get(claims, "nbf");
	KvTokenFault fault;

	if (expiry == NULL)
		return KV_TOKEN_NO_EXPIRY;
	if (issue == NULL)
		return KV_TOKEN_NO_ISSUE_TIME;
	fault = read_time(expiry, &subject->expires_at);
	if (fault == KV_TOKEN_OK)
		fault = read_time(issue, &subject->issued_at);
	if (fault == KV_TOKEN_OK && start != NULL)
		fault = read_time(start, &subject->not_before);
	return fault;
}

/* time + by, or the latest time that there is; neither is negative. */
static int64_t
later(int64_t time, int64_t by)
{
	return by > INT64_MAX - time ? INT64_MAX : time + by;
}

static int64_t
earlier_of(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

KvTokenFault
kv_token_subject_valid(const KvTokenSubject *subject, int64_t now)
{
	int64_t		skew = subject->clock_skew;

	if (now >= later(subject->expires_at, skew))
		return KV_TOKEN_EXPIRED;
	if (now >= later(later(subject->issued_at, subject->max_age), skew))
		return KV_TOKEN_TOO_OLD;
	if (subject->not_before > later(now, skew))
		return KV_TOKEN_NOT_YET;
	if (subject->issued_at > later(now, skew))
		return KV_TOKEN_ISSUED_AHEAD;
	return KV_TOKEN_OK;
}

static KvTokenFault
check_times(const json_t *claims, const KvTokenRules *rules, int64_t now, KvTokenSubject *subject)
{
	KvTokenFault fault = read_times(claims, subject);

	if (fault != KV_TOKEN_OK)
		return fault;
	subject->max_age = rules->max_age;
	subject->clock_skew = rules->clock_skew;
	subject->not_after = earlier_of(later(subject->expires_at, rules->clock_skew),
									later(later(subject->issued_at, rules->max_age), rules->clock_skew));
	return kv_token_subject_valid(subject, now);
}

/* A team owns keys under `team:...`, so that no user may be called like one. */
static KvTokenFault
read_user(const json_t *claims, const KvTokenRules *rules, KvTokenSubject *subject)
{
	size_t		len;
	const char *user = kv_json_text(claims, rules->user_claim, &len);
	size_t		prefix_len = strlen(rules->user_prefix);

	if (user == NULL || len == 0 || prefix_len > KV_TOKEN_USER_MAX || len > KV_TOKEN_USER_MAX - prefix_len)
		return KV_TOKEN_SUBJECT;
	memcpy(subject->user_id, rules->user_prefix, prefix_len);
	memcpy(subject->user_id + prefix_len, user, len);
	if (begins_with_team(user) || begins_with_team(subject->user_id))
		return KV_TOKEN_SUBJECT;
	return KV_TOKEN_OK;
}

/* Absent, null and empty are no team. */
static KvTokenFault
read_team(const json_t *claims, const KvTokenRules *rules, KvTokenSubject *subject)
{
	const json_t *claim;
	size_t		len;

	if (rules->team_claim == NULL)
		return KV_TOKEN_OK;
	claim = json_object_get(claims, rules->team_claim);
	if (claim == NULL || json_is_null(claim))
		return KV_TOKEN_OK;
	len = json_string_length(claim);
	if (!json_is_string(claim) || len > KV_TOKEN_TEAM_MAX || begins_with_team(json_string_value(claim)))
		return KV_TOKEN_TEAM;
	memcpy(subject->team_id, json_string_value(claim), len);
	subject->team_admin = len > 0 && rules->team_admin_claim != NULL &&
		json_is_true(json_object_get(claims, rules->team_admin_claim));
	return KV_TOKEN_OK;
}

KvTokenFault
kv_claims_check(const json_t *claims, const KvTokenRules *rules, int64_t now, KvTokenSubject *subject)
{
	KvTokenFault fault;

	memset(subject, 0, sizeof(*subject));
	fault = check_audience(claims, rules);
	if (fault == KV_TOKEN_OK)
		fault = check_times(claims, rules, now, subject);
	if (fault == KV_TOKEN_OK)
		fault = read_user(claims, rules, subject);
	if (fault == KV_TOKEN_OK)
		fault = read_team(claims, rules, subject);
	if (fault != KV_TOKEN_OK)
		OPENSSL_cleanse(subject, sizeof(*subject));
	return fault;
}
