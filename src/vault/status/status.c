/*
 * status.c
 *		The items of status(), and what is said of one that cannot be found out.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "server/subtransaction.h"
#include "vault/status/checks.h"
#include "vault/status/status.h"

static const struct
{
	const char *item;
	KvFinding	(*check) (void);
}			items[] =
{
	{"root_key", kv_check_root_key},
	{"keyring", kv_check_keyring},
	{"preload", kv_check_preload},
	{"mode", kv_check_mode},
	{"log_settings", kv_check_log_settings},
	{"sealed_rows", kv_check_sealed_rows},
	{"service_roles", kv_check_service_roles},
	{"role_settings", kv_check_role_settings},
	{"privileges", kv_check_privileges},
	{"policies", kv_check_policies},
	{"tables", kv_check_tables},
	{"pgcrypto", kv_check_pgcrypto},
	{"issuers", kv_check_issuers},
	{"token_roles", kv_check_token_roles},
	{"audit", kv_check_audit},
	{"environment", kv_check_environment}
};

/* Whoever cancels the statement, or stops the server, means all of it. */
static bool
is_about_the_item(const ErrorData *problem)
{
	return ERRCODE_TO_CATEGORY(problem->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION;
}

static KvFinding
not_found_out(const ErrorData *problem)
{
	const char *remedy = problem->hint != NULL ? problem->hint : problem->detail;

	return kv_found_error(psprintf("It could not be found out: %s.", problem->message),
						  remedy != NULL ? remedy : "Mend that, and ask again.");
}

/* One item's check, and what it found. */
typedef struct Check
{
	KvFinding	(*run) (void);
	KvFinding	finding;
} Check;

static void
run(void *state)
{
	Check	   *check = state;

	check->finding = check->run();
}

/* In a subtransaction of its own, so that one that fails takes no other item away. */
static KvFinding
run_check(KvFinding (*check) (void))
{
	Check		one = {.run = check};
	ErrorData  *problem = kv_try_in_subtransaction(run, &one);

	if (problem == NULL)
		return one.finding;
	if (!is_about_the_item(problem))
		ReThrowError(problem);
	return not_found_out(problem);
}

void
kv_status_report(Tuplestorestate *result, TupleDesc columns)
{
	for (int i = 0; i < (int) lengthof(items); i++)
	{
		KvFinding	finding = run_check(items[i].check);
		Datum		values[4];
		bool		nulls[4] = {false, false, finding.detail == NULL, finding.remedy == NULL};

		values[0] = CStringGetTextDatum(items[i].item);
		values[1] = CStringGetTextDatum(finding.state);
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(finding.detail);
		values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(finding.remedy);
		tuplestore_putvalues(result, columns, values, nulls);
	}
}
