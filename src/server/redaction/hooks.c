/*
 * hooks.c
 *		Where the server lets us look at what it is about to show.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/portal.h"

#include "server/compat.h"
#include "server/identity_settings.h"
#include "server/redaction/entry.h"
#include "server/redaction/known.h"
#include "server/redaction/names.h"
#include "server/redaction/redaction.h"
#include "server/redaction/statement.h"
#include "server/redaction/values.h"
#include "server/settings.h"

static emit_log_hook_type previous_emit_log = NULL;
static post_parse_analyze_hook_type previous_post_parse_analyze = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;
static ExecutorRun_hook_type previous_executor_run = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;

static bool is_preloaded = false;

static void
emit_log(ErrorData *edata)
{
	if (kv_setting_redact)
		kv_entry_redact(edata);
	if (previous_emit_log)
		previous_emit_log(edata);
}

/*
 * pg_stat_statements passes over a statement without a query id.  It would put
 * parameters in the place of literals, but not where it meets the statement for the
 * first time when that is over, and not in utility statements.
 */
static void
post_parse_analyze(ParseState *pstate, Query *query, KvJumbleState *jstate)
{
	const char *text = pstate->p_sourcetext;

	(void) kv_statement_look();
	if (kv_setting_redact && text != NULL && kv_statement_is_secret(text))
	{
		kv_note_prepared_text();
		if (kv_has_literals(text, strlen(text)) && !kv_text_binds_secrets(text, strlen(text)))
			query->queryId = 0;
	}
	if (previous_post_parse_analyze)
		previous_post_parse_analyze(pstate, query, jstate);
}

/* FETCH does not say what it runs: the cursor's portal has the text. */
static bool
portal_carries_secrets(void)
{
	const char *text = ActivePortal != NULL ? ActivePortal->sourceText : NULL;

	return kv_setting_redact && text != NULL && text != debug_query_string &&
		kv_statement_is_secret(text);
}

static void
look_at_running(ParamListInfo params)
{
	bool		carries = kv_statement_look();

	if (!carries && portal_carries_secrets())
	{
		kv_statement_carries_secret();
		carries = true;
	}
	if (carries)
		kv_known_note_parameters(params);
}

static void
executor_start(QueryDesc *query, int eflags)
{
	look_at_running(query->params);
	if (previous_executor_start)
		previous_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/* With the extended protocol, Bind starts the executor, and Execute shows the text again. */
static void
executor_run(KV_EXECUTOR_RUN_PARAMETERS)
{
	if (unlikely(kv_identity_settings_are_late))
		kv_identity_settings_catch_up();
	look_at_running(query->params);
	if (previous_executor_run)
		previous_executor_run(KV_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(KV_EXECUTOR_RUN_ARGUMENTS);
}

static void
process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (unlikely(kv_identity_settings_are_late))
		kv_identity_settings_catch_up();
	look_at_running(params);
	if (previous_process_utility)
		previous_process_utility(statement, text, read_only_tree, context, params,
								 environment, dest, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, params,
								environment, dest, completion);
}

void
kv_redaction_init(void)
{
	is_preloaded = debug_query_string == NULL;
	previous_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
	previous_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	kv_secrets_init();
}

bool
kv_redaction_is_preloaded(void)
{
	return is_preloaded && kv_setting_redact;
}
