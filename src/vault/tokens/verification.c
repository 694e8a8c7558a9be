/*
 * verification.c
 *		From a token's text to the user that its issuer vouches for: by the signature, or by
 *		remembering.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "crypto/digest.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/settings.h"
#include "server/unix_time.h"
#include "store/revocation_rows.h"
#include "vault/identity/transaction_token.h"
#include "vault/tokens/issuers.h"
#include "vault/tokens/revocations.h"
#include "vault/tokens/token_cache.h"
#include "vault/tokens/verification.h"

static void
check(KvTokenFault fault)
{
	if (fault != KV_TOKEN_OK)
		kv_token_refuse(fault);
}

pg_noreturn static void
refuse(const char *why)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_TOKEN),
			 errmsg("%s", why)));
}

static void
check_by_issuer(KvToken *token, KvTokenSubject *subject)
{
	const char *name;
	size_t		len;
	const KvTrusted *issuer;

	check(kv_token_issuer(token, &name, &len));
	issuer = kv_issuer_find(name, len);
	if (issuer == NULL)
		refuse("the token's issuer is not trusted");
	check(kv_issuer_verify(issuer, token));
	check(kv_token_check(token, kv_issuer_rules(issuer),
						 kv_unix_microseconds(GetCurrentTimestamp()), subject));
}

/* In place.  What has no form in the encoding could be no user of this database. */
static void
to_database_encoding(char *value, Size size)
{
	int			len;
	const char *converted = kv_try_from_utf8(value, strlen(value), &len);

	if (converted == value)
		return;
	if (converted == NULL || (Size) len >= size)
		refuse("the token's user or team has no form in the encoding of this database");
	memcpy(value, converted, len);
	value[len] = '\0';
}

static void
verify(const char *text, Size len, KvTokenSubject *subject)
{
	KvToken    *token;

	check(kv_token_parse(text, len, &token));
	PG_TRY();
	{
		check_by_issuer(token, subject);
	}
	PG_FINALLY();
	{
		kv_token_free(token);
	}
	PG_END_TRY();
	to_database_encoding(subject->user_id, sizeof(subject->user_id));
	to_database_encoding(subject->team_id, sizeof(subject->team_id));
}

/* Unless nothing has changed since it was last asked. */
static void
check_revocations(KvCachedToken *token)
{
	uint64		changes = kv_revocation_rows_changes();

	if (token->revocations_changes == changes)
		return;
	if (kv_token_is_revoked(&token->subject))
		refuse("the token was revoked");
	token->revocations_changes = changes;
}

static bool
is_known(const KvCachedToken *token)
{
	return token != NULL && token->issuers_changes == kv_issuers_changes();
}

void
kv_token_judge(const char *token, Size len, KvTokenSubject *subject)
{
	uint8_t		digest[KV_DIGEST_LEN];
	KvCachedToken *known;

	if (len > KV_TOKEN_TEXT_MAX)
		kv_token_refuse(KV_TOKEN_TOO_LONG);
	kv_check_digest(kv_sha256(token, len, digest));
	known = kv_token_cache_find(digest);
	if (is_known(known))
	{
		kv_token_check_clock(&known->subject);
		check_revocations(known);
		*subject = known->subject;
	}
	else
	{
		KvCachedToken found = {.issuers_changes = kv_issuers_changes()};

		verify(token, len, &found.subject);
		check_revocations(&found);
		kv_token_cache_put(digest, &found);
		*subject = found.subject;
	}
}
