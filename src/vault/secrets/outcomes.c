/*
 * outcomes.c
 *		Records what a provider said of a key.
 *
 * It is with the version of the key of which it was said, so that a key that is set anew
 * starts with none.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "server/errors.h"
#include "store/outcome_rows.h"
#include "vault/identity/identity.h"
#include "vault/secrets/outcomes.h"
#include "vault/secrets/secrets.h"

/* What is given may be a key in the wrong place: no message shows it. */
static void
check_outcome(const text *outcome)
{
	static const char *const outcomes[] = {"accepted", "rejected", "quota"};

	if (outcome == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("outcome is NULL")));
	for (int i = 0; i < (int) lengthof(outcomes); i++)
	{
		if (VARSIZE_ANY_EXHDR(outcome) == strlen(outcomes[i]) &&
			memcmp(VARDATA_ANY(outcome), outcomes[i], strlen(outcomes[i])) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("outcome must be accepted, rejected or quota")));
}

/* In development the .env file's key comes first, whatever is in the way of reading it. */
static bool
is_served_by_file(const KvSecretTarget *target)
{
	KvDotenvObstacle why;
	text	   *value;

	if (target->variable == NULL)
		return false;
	value = kv_secret_try_variable(target->variable, &why);
	if (value != NULL)
		explicit_bzero(VARDATA(value), VARSIZE(value) - VARHDRSZ);
	return value != NULL || why.code != 0;
}

bool
kv_outcome_record(const KvSecretArgs *args, text *outcome, int32 version)
{
	KvSecretTarget target = kv_secret_target(args);
	KvServing	serving;
	KvOutcomeRow row;

	check_outcome(outcome);
	PreventCommandIfReadOnly("key_vault.record_outcome()");
	if (is_served_by_file(&target) || target.name.user_id == NULL ||
		!kv_serving_find(&target.name, &serving) ||
		(version != 0 && version != serving.row.version))
		return false;

	row.name = serving.name;
	row.recorded_by = target.name.user_id;
	row.version = serving.row.version;
	row.set_at = serving.row.created_at;
	row.outcome = outcome;
	KV_ACT_FOR(row.name.user_id);
	{
		kv_outcome_row_record(&row);
	}
	KV_ACT_END();
	return true;
}
