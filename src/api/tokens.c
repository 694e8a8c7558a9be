/*
 * tokens.c
 *		The SQL functions of tokens, of those who issue them, and of taking them back.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/by_token.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/tokens/authentication.h"
#include "vault/tokens/issuer_list.h"
#include "vault/tokens/revocations.h"
#include "vault/tokens/trust.h"

PG_FUNCTION_INFO_V1(kv_sql_authenticate);
PG_FUNCTION_INFO_V1(kv_sql_trust_issuer);
PG_FUNCTION_INFO_V1(kv_sql_distrust_issuer);
PG_FUNCTION_INFO_V1(kv_sql_trusted_issuers);
PG_FUNCTION_INFO_V1(kv_sql_revoke_tokens);

/*
 * key_vault.authenticate(token text) returns text
 *
 * Makes the token's user the identity until the transaction ends, and returns it.
 */
Datum
kv_sql_authenticate(PG_FUNCTION_ARGS)
{
	text	   *volatile user_id;

	KV_AUDITED(call, .action = "authenticate");
	{
		user_id = kv_by_token_is_alone(fcinfo->flinfo) ?
			kv_authenticate_for_statement(KV_GETARG_TEXT_OR_NULL(0)) :
			kv_authenticate(KV_GETARG_TEXT_OR_NULL(0));
		call.user_id = user_id;
	}
	KV_AUDITED_END(call);
	PG_RETURN_TEXT_P(user_id);
}

/* As a record says which issuer it is. */
static const char *
subject_of(const text *issuer)
{
	return issuer != NULL ? text_to_cstring(issuer) : NULL;
}

#define INTERVAL_OR_NULL(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_INTERVAL_P(n))

/*
 * key_vault.trust_issuer(issuer text, audience text[], jwks jsonb, user_claim text,
 *						  user_prefix text, team_claim text, team_admin_claim text,
 *						  audience_claim text, max_age interval, clock_skew interval)
 *		returns void
 *
 * Registers an issuer, or replaces what is known of it.
 */
Datum
kv_sql_trust_issuer(PG_FUNCTION_ARGS)
{
	KvTrustArgs args = {
		.issuer = KV_GETARG_TEXT_OR_NULL(0),
		.audience = PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1),
		.jwks = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
		.user_claim = KV_GETARG_TEXT_OR_NULL(3),
		.user_prefix = KV_GETARG_TEXT_OR_NULL(4),
		.team_claim = KV_GETARG_TEXT_OR_NULL(5),
		.team_admin_claim = KV_GETARG_TEXT_OR_NULL(6),
		.audience_claim = KV_GETARG_TEXT_OR_NULL(7),
		.max_age = INTERVAL_OR_NULL(8),
		.clock_skew = INTERVAL_OR_NULL(9)
	};

	KV_AUDITED(call, .action = "trust_issuer", .subject = subject_of(args.issuer));
	{
		kv_issuer_trust(&args);
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}

/*
 * key_vault.distrust_issuer(issuer text) returns boolean
 *
 * False when it was not trusted.
 */
Datum
kv_sql_distrust_issuer(PG_FUNCTION_ARGS)
{
	text	   *issuer = KV_GETARG_TEXT_OR_NULL(0);
	volatile bool removed;

	KV_AUDITED(call, .action = "distrust_issuer", .subject = subject_of(issuer));
	{
		removed = kv_issuer_distrust(issuer);
		call.outcome = removed ? KV_AUDIT_OK : KV_AUDIT_NONE;
	}
	KV_AUDITED_END(call);
	PG_RETURN_BOOL(removed);
}

/*
 * key_vault.trusted_issuers() returns table
 *
 * What the view issuers shows.
 */
Datum
kv_sql_trusted_issuers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	kv_issuers_report(result->setResult, result->setDesc);
	return (Datum) 0;
}

/*
 * key_vault.revoke_tokens(user_id text, issued_before timestamptz) returns void
 *
 * Refuses what was issued for the user before a time.
 */
Datum
kv_sql_revoke_tokens(PG_FUNCTION_ARGS)
{
	text	   *user_id = KV_GETARG_TEXT_OR_NULL(0);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("issued_before is NULL")));
	KV_AUDITED(call, .action = "revoke_tokens", .user_id = user_id);
	{
		kv_tokens_revoke(user_id, PG_GETARG_TIMESTAMPTZ(1));
	}
	KV_AUDITED_END(call);
	PG_RETURN_VOID();
}
