/*
 * statement_text.c
 *		Finds a key in the text of the running statement, and hides that text.
 *
 * What the server logs before it runs a statement (log_statement) or after
 * (log_min_duration_statement) is out of reach here: status() warns of those.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

#include "server/statement_text.h"

/* Below this many bytes a match between other characters means nothing. */
#define UNQUOTED_MIN 8

static emit_log_hook_type previous_emit_log_hook = NULL;

/* The statement to hide, by when it began and where its text is. */
static TimestampTz hidden_since = 0;
static const char *hidden_text = NULL;

static bool
statement_is_hidden(void)
{
	return hidden_since != 0 &&
		hidden_since == GetCurrentStatementStartTimestamp() &&
		hidden_text == debug_query_string;
}

static void
hide_statement(ErrorData *edata)
{
	if (statement_is_hidden())
	{
		edata->hide_stmt = true;
		edata->hide_ctx = true;
	}
	if (previous_emit_log_hook)
		previous_emit_log_hook(edata);
}

void
kv_statement_text_init(void)
{
	previous_emit_log_hook = emit_log_hook;
	emit_log_hook = hide_statement;
}

/* How a quoted literal spells the secret: quotes or backslashes doubled. */
static char *
doubled(const char *secret, int len, char what)
{
	char	   *copy = palloc(2 * len + 1);
	char	   *out = copy;

	for (int i = 0; i < len; i++)
	{
		if (secret[i] == what)
			*out++ = what;
		*out++ = secret[i];
	}
	*out = '\0';
	return copy;
}

static bool
stands_in(const char *text, const char *spelling)
{
	size_t		len = strlen(spelling);
	const char *found = text;

	if (len == 0)
		return false;
	while ((found = strstr(found, spelling)) != NULL)
	{
		if (len >= UNQUOTED_MIN)
			return true;
		if (found > text && strchr("'$", found[-1]) != NULL &&
			found[len] != '\0' && strchr("'$", found[len]) != NULL)
			return true;
		found++;
	}
	return false;
}

static bool
stands_literally_in(const char *text, const char *secret, int len)
{
	bool		found;
	char	   *spelling;

	if (text == NULL || *text == '\0')
		return false;

	/* doubling a character that no secret holds leaves it as it is */
	spelling = doubled(secret, len, '\0');
	found = stands_in(text, spelling);
	if (!found && memchr(secret, '\'', len) != NULL)
	{
		explicit_bzero(spelling, strlen(spelling));
		pfree(spelling);
		spelling = doubled(secret, len, '\'');
		found = stands_in(text, spelling);
	}
	if (!found && memchr(secret, '\\', len) != NULL)
	{
		explicit_bzero(spelling, strlen(spelling));
		pfree(spelling);
		spelling = doubled(secret, len, '\\');
		found = stands_in(text, spelling);
	}
	explicit_bzero(spelling, strlen(spelling));
	pfree(spelling);
	return found;
}

bool
kv_statement_text_hides(const char *secret, int len)
{
	bool		found = stands_literally_in(debug_query_string, secret, len);

	/* a function's body: its statements are quoted as the error context */
	if (!found && error_context_stack != NULL)
	{
		char	   *context = GetErrorContextStack();

		found = stands_literally_in(context, secret, len);
		if (context)
		{
			explicit_bzero(context, strlen(context));
			pfree(context);
		}
	}
	if (!found)
		return false;

	hidden_since = GetCurrentStatementStartTimestamp();
	hidden_text = debug_query_string;
	pgstat_report_activity(STATE_RUNNING,
						   "<statement hidden by key_vault: an API key stands in its text>");
	return true;
}
