/*
 * usage.c
 *		Records what was used, for whom, and whose key it was.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/usage_rows.h"
#include "vault/identity/identity.h"
#include "vault/identity/team.h"
#include "vault/providers/usage.h"
#include "vault/secrets/secrets.h"

static int
compare(Datum cost, int64 number)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, cost,
											 NumericGetDatum(int64_to_numeric(number))));
}

/* One user's numbers are in the sums of all: none may be too large for those. */
static void
check_numbers(int64 requests, int64 tokens, Datum cost)
{
	if (requests < 0 || tokens < 0 || compare(cost, 0) < 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("requests, tokens and cost must be 0 or more")));
	if (numeric_is_nan(DatumGetNumeric(cost)) || numeric_is_inf(DatumGetNumeric(cost)))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("cost must be a finite number")));
	if (requests > KV_USAGE_CALL_MAX || tokens > KV_USAGE_CALL_MAX ||
		compare(cost, KV_USAGE_CALL_MAX) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("requests, tokens and cost must be at most " INT64_FORMAT " each",
						KV_USAGE_CALL_MAX)));
}

/* A float that was made a numeric can have a thousand decimals. */
static Datum
with_fewer_decimals(Datum cost)
{
	if (DatumGetInt32(DirectFunctionCall1(numeric_scale, cost)) <= KV_COST_DECIMALS)
		return cost;
	return DirectFunctionCall2(numeric_round, cost, Int32GetDatum(KV_COST_DECIMALS));
}

/* Whose key would serve now. */
static void
set_payer(KvUsage *usage, const KvSecretArgs *args)
{
	text	   *owner = NULL;
	const char *source = kv_secret_source(args, &owner);

	if (source == NULL)
		usage->paid_by = "user";
	else
		usage->paid_by = strcmp(source, "dotenv") == 0 ? "operator" : source;
	usage->team_id = owner != NULL && kv_team_is(owner) ? kv_team_id(owner) : cstring_to_text("");
}

void
kv_usage_record(text *user_id, text *provider, int64 requests, int64 tokens, Datum cost)
{
	KvSecretArgs args = {user_id, provider, cstring_to_text("default")};
	KvSecretTarget target;
	KvUsage		usage;

	check_numbers(requests, tokens, cost);
	args.user_id = kv_identity_require(user_id);
	target = kv_secret_target(&args);
	set_payer(&usage, &args);

	usage.user_id = target.name.user_id;
	usage.provider = target.name.provider;
	usage.requests = requests;
	usage.tokens = tokens;
	usage.cost = with_fewer_decimals(cost);
	KV_ACT_FOR(usage.user_id);
	{
		kv_usage_row_add(&usage);
	}
	KV_ACT_END();
}
