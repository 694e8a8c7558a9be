/*
 * token.h
 *		A JWT (RFC 7519), from its text to the user that its issuer vouches for.
 *
 *		kv_token_parse()		what it says, which is nobody's word yet
 *		kv_token_issuer()		whose keys and rules are to be looked up
 *		kv_token_verify()		one of the issuer's keys signed it
 *		kv_token_check()		it is for us, it is valid now, and this is its user
 *
 * In this order; kv_token_check() refuses what was not verified.
 */
#ifndef KV_JOSE_TOKEN_H
#define KV_JOSE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "key_set.h"
#include "status.h"

#define KV_TOKEN_ISSUER_MAX	1024	/* bytes of "iss" */
#define KV_TOKEN_USER_MAX	255		/* bytes of a user's id */
#define KV_TOKEN_TEAM_MAX	250		/* bytes of a team's id, without its `team:` */

typedef struct KvToken KvToken;

/*
 * What an issuer's tokens must be like.  All texts end with a NUL and are the caller's,
 * in UTF-8.  Claims are members at the top level, whatever is in their names
 * ("https://example.com/team" is one).
 */
typedef struct KvTokenRules
{
	const char *const *audiences;	/* any one of them suffices; none of these is NULL */
	size_t		audience_count; /* when it is 0, every token is refused */
	const char *audience_claim; /* "aud" */
	const char *user_claim;		/* "sub" */
	const char *user_prefix;	/* stands before the claim in the user's id; "" for none */
	const char *team_claim;		/* NULL for none */
	const char *team_admin_claim;	/* NULL for none */
	int64_t		max_age;		/* microseconds since "iat", 0 or more */
	int64_t		clock_skew;		/* microseconds by which clocks may differ, 0 or more */
} KvTokenRules;

/*
 * Who a token is for, and when.  Times are microseconds since 1970-01-01 00:00 UTC, from
 * 0 to the end of the year 9999.  Nothing in it has to be freed.
 */
typedef struct KvTokenSubject
{
	char		user_id[KV_TOKEN_USER_MAX + 1]; /* with its prefix; UTF-8, 1 byte at least */
	char		team_id[KV_TOKEN_TEAM_MAX + 1]; /* without `team:`; "" when there is none */
	bool		team_admin;		/* the claim is JSON's true, and there is a team */

	int64_t		issued_at;		/* "iat" */
	int64_t		expires_at;		/* "exp" */
	int64_t		not_before;		/* "nbf"; 0 when it has none */
	int64_t		max_age;		/* of the rules, */
	int64_t		clock_skew;		/* as is this */
	int64_t		not_after;		/* from this moment on it is refused, if not before it */
} KvTokenSubject;

/*
 * Reads len bytes, which need no NUL behind them: at most KV_TOKEN_MAX, three parts, each
 * canonical base64url, and two JSON objects, each read strictly.  The text may be wiped
 * afterwards.
 *
 * *token is the caller's to kv_token_free(), and NULL unless it is KV_TOKEN_OK.
 */
extern KV_MUST_CHECK KvTokenFault kv_token_parse(const char *text, size_t len, KvToken **token);

/*
 * The token's "iss", UTF-8, 1 to KV_TOKEN_ISSUER_MAX bytes and a NUL; the text is the
 * token's.  Not verified: it is good for looking up keys.
 *
 * Returns KV_TOKEN_OK or KV_TOKEN_ISSUER.
 */
extern KV_MUST_CHECK KvTokenFault kv_token_issuer(const KvToken *token, const char **issuer, size_t *len);

/*
 * Whether a key of the set signed it.  A token's "alg" must be the key's.  Returns what
 * kv_jws_verify() does.
 */
extern KV_MUST_CHECK KvTokenFault kv_token_verify(KvToken *token, const KvKeySet *set);

/*
 * Whether a verified token is for us and valid at now (microseconds since 1970), and whose
 * it is.  clock_skew is granted to every time.
 *
 * subject is all zero unless it is KV_TOKEN_OK.
 */
extern KV_MUST_CHECK KvTokenFault kv_token_check(const KvToken *token, const KvTokenRules *rules,
												 int64_t now, KvTokenSubject *subject);

/*
 * The times of a subject once more, at another now: for a token that is remembered, at
 * each use.  The clock may have been set back, too.
 *
 * Returns KV_TOKEN_OK, KV_TOKEN_EXPIRED, KV_TOKEN_NOT_YET, KV_TOKEN_ISSUED_AHEAD,
 * KV_TOKEN_TOO_OLD.
 */
extern KV_MUST_CHECK KvTokenFault kv_token_subject_valid(const KvTokenSubject *subject, int64_t now);

/* Wipes and frees; nothing for NULL. */
extern void kv_token_free(KvToken *token);

#endif							/* KV_JOSE_TOKEN_H */
