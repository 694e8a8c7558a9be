/*
 * token.c
 *		A JWT, from its text to the user that its issuer vouches for.
 */
#include <string.h>

#include "claims.h"
#include "compact.h"
#include "memory.h"

struct KvToken
{
	KvJws		jws;
	json_t	   *claims;
	bool		verified;
};

KvTokenFault
kv_token_parse(const char *text, size_t len, KvToken **token)
{
	uint8_t    *payload;
	size_t		payload_len;
	KvTokenFault fault;

	*token = NULL;
	if (!kv_jose_ready())
		return KV_TOKEN_LIBRARY;
	*token = kv_jose_alloc(sizeof(**token));
	if (*token == NULL)
		return KV_TOKEN_NO_MEMORY;
	memset(*token, 0, sizeof(**token));
	fault = kv_jws_parse(text, len, &(*token)->jws, &payload, &payload_len);
	if (fault == KV_TOKEN_OK)
		fault = kv_token_json_fault(kv_json_object((const char *) payload, payload_len, &(*token)->claims),
									KV_TOKEN_CLAIMS);
	kv_jose_free(payload);
	if (fault != KV_TOKEN_OK)
	{
		kv_token_free(*token);
		*token = NULL;
	}
	return fault;
}

KvTokenFault
kv_token_issuer(const KvToken *token, const char **issuer, size_t *len)
{
	*issuer = kv_json_text(token->claims, "iss", len);
	return *issuer == NULL || *len == 0 || *len > KV_TOKEN_ISSUER_MAX ? KV_TOKEN_ISSUER : KV_TOKEN_OK;
}

KvTokenFault
kv_token_verify(KvToken *token, const KvKeySet *set)
{
	KvTokenFault fault = kv_jws_verify(&token->jws, set);

	token->verified = fault == KV_TOKEN_OK;
	return fault;
}

KvTokenFault
kv_token_check(const KvToken *token, const KvTokenRules *rules, int64_t now, KvTokenSubject *subject)
{
	if (!token->verified)
	{
		memset(subject, 0, sizeof(*subject));
		return KV_TOKEN_SIGNATURE;
	}
	return kv_claims_check(token->claims, rules, now, subject);
}

void
kv_token_free(KvToken *token)
{
	if (token == NULL)
		return;
	kv_jws_clear(&token->jws);
	json_decref(token->claims);
	kv_jose_free(token);
}
