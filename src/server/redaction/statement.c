/*
 * statement.c
 *		Replaces the running statement's text by one without literals.
 *
 * The server sets debug_query_string, and the text in pg_stat_activity, anew with each
 * message of the protocol: so both are looked at again from several hooks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"

#include "format/sql_redact.h"
#include "server/compat.h"
#include "server/redaction/looks.h"
#include "server/redaction/names.h"
#include "server/redaction/statement.h"
#include "server/settings.h"

/* What stands there when there is no memory for more. */
static const char hidden[] = "<statement hidden by key_vault>";

#define REMEMBERED_MAX	2048	/* bytes of a text */

/* What was looked at last.  A pointer alone could be another text's by now. */
static struct
{
	TimestampTz began;
	const char *original;
	const char *shown;			/* in its place; the same when it has nothing to hide */
	bool		carries;
} statement;

/* Of a process that has no MessageContext. */
static char *kept = NULL;

/*
 * The last text of which every secret is a parameter, and what is shown in its place:
 * who prepares a statement has the same text each time.  Other texts are not kept.
 */
static struct
{
	char	   *text;			/* NULL: there is none */
	char	   *shown;			/* NULL: the text itself, which has no literals */
	Size		len;			/* of text */
	bool		backslashes;	/* escape in its literals */
} remembered;

static bool
is_looked_at(void)
{
	return statement.began == GetCurrentStatementStartTimestamp() &&
		(debug_query_string == statement.shown || debug_query_string == statement.original);
}

bool
kv_has_literals(const char *text, Size len)
{
	KvSqlScanner scanner = {.text = text, .len = len, .backslashes = kv_backslashes_escape()};
	KvSqlToken	token;

	return kv_sql_next_hidden(&scanner, &token);
}

char *
kv_without_literals(const char *prefix, Size prefix_len, const char *text, Size len,
					MemoryContext context)
{
	bool		backslashes = kv_backslashes_escape();
	Size		needed = kv_sql_redact(text, len, backslashes, NULL, 0);
	char	   *copy = MemoryContextAllocExtended(context, prefix_len + needed + 1,
												  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);

	if (copy != NULL)
	{
		memcpy(copy, prefix, prefix_len);
		(void) kv_sql_redact(text, len, backslashes, copy + prefix_len, needed + 1);
	}
	return copy;
}

/* A copy that lives as long as debug_query_string can point to it. */
static MemoryContext
context_of_shown(void)
{
	if (MessageContext != NULL)
		return MessageContext;
	if (kept != NULL && kept != debug_query_string)
	{
		pfree(kept);
		kept = NULL;
	}
	return TopMemoryContext;
}

/*
 * Overwrites what is left of a longer text behind the one that pg_stat_activity shows: it
 * would stay in shared memory, and so in the core dump of any process of the server.
 */
static void
wipe_activity(Size shown_len, Size former_len)
{
	Size		end = Min(former_len, (Size) pgstat_track_activity_query_size);

	if (MyBEEntry != NULL && end > shown_len)
		explicit_bzero((char *) MyBEEntry->st_activity_raw + shown_len, end - shown_len);
}

static void
show(const char *text)
{
	Size		former_len = strlen(debug_query_string);

	statement.shown = text;
	debug_query_string = text;
	pgstat_report_activity(STATE_RUNNING, text);
	wipe_activity(strlen(text), former_len);
}

/* A copy that was made in context_of_shown(), or NULL. */
static void
show_copy(char *copy)
{
	if (MessageContext == NULL && copy != NULL)
		kept = copy;
	show(copy != NULL ? copy : hidden);
}

static bool
is_remembered(const char *text, Size len)
{
	return remembered.text != NULL && remembered.len == len &&
		remembered.backslashes == kv_backslashes_escape() &&
		memcmp(remembered.text, text, len) == 0;
}

/* Without memory for it, nothing is remembered. */
static void
remember(const char *text, Size len, const char *shown)
{
	Size		shown_size = shown != NULL ? strlen(shown) + 1 : 0;
	char	   *copy;

	if (len > REMEMBERED_MAX ||
		(remembered.shown != NULL && debug_query_string == remembered.shown) ||
		!kv_text_binds_secrets(text, len))
		return;
	copy = MemoryContextAllocExtended(TopMemoryContext, len + 1 + shown_size, MCXT_ALLOC_NO_OOM);
	if (copy == NULL)
		return;
	if (remembered.text != NULL)
		pfree(remembered.text);
	remembered.text = memcpy(copy, text, len + 1);
	remembered.shown = shown != NULL ? memcpy(copy + len + 1, shown, shown_size) : NULL;
	remembered.len = len;
	remembered.backslashes = kv_backslashes_escape();
}

static void
hide(void)
{
	const char *text = debug_query_string;
	Size		len = strlen(text);

	if (is_remembered(text, len))
	{
		if (remembered.shown != NULL)
			show(remembered.shown);
		return;
	}
	if (!kv_has_literals(text, len))
	{
		remember(text, len, NULL);
		return;
	}
	show_copy(kv_without_literals("", 0, text, len, context_of_shown()));
	if (statement.shown != hidden)
		remember(text, len, statement.shown);
}

/* What is remembered names ours, whatever else has changed. */
static bool
carries(const char *text)
{
	Size		len = strlen(text);

	return is_remembered(text, len) || kv_statement_text_carries_secrets(text, len);
}

static void
look(void)
{
	statement.began = GetCurrentStatementStartTimestamp();
	statement.original = statement.shown = debug_query_string;
	statement.carries = carries(debug_query_string);
	if (statement.carries)
		hide();
}

bool
kv_statement_look(void)
{
	if (debug_query_string == NULL || !kv_setting_redact)
		return false;
	if (!is_looked_at())
		look();
	else if (statement.carries && debug_query_string != statement.shown)
		hide();
	return statement.carries;
}

void
kv_statement_carries_secret(void)
{
	if (kv_statement_look() || debug_query_string == NULL || !kv_setting_redact)
		return;
	statement.carries = true;
	hide();
}

void
kv_statement_hide_known(const KvKnownValues *known)
{
	Size		len;
	char	   *copy;

	if (debug_query_string == NULL)
		return;
	len = strlen(debug_query_string);
	if (!(known != NULL && kv_known_values_stand_in(known, debug_query_string, len)) &&
		!kv_has_look(debug_query_string, len))
		return;
	copy = MemoryContextAllocExtended(context_of_shown(), len + 1,
									  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy != NULL)
	{
		memcpy(copy, debug_query_string, len + 1);
		if (known != NULL)
			len = kv_known_values_hide(known, copy, len);
		copy[kv_hide_looks(copy, len)] = '\0';
	}
	show_copy(copy);
}

const char *
kv_statement_text(Size *len)
{
	const char *text = debug_query_string;

	if (text != NULL && is_looked_at())
		text = statement.original;
	*len = text != NULL ? strlen(text) : 0;
	return text;
}

bool
kv_statement_is_secret(const char *text)
{
	if (is_looked_at() && text == statement.original)
		return statement.carries;
	return carries(text);
}
