/*
 * entry.c
 *		Takes secrets out of an entry of the log.
 *
 * Three rules: of a statement that carries secrets no literal and no parameter is
 * shown; what a statement has passed to key_vault is not shown anywhere; nor is what
 * looks like a key.  Fields are changed in place, and never get longer; only a
 * statement's text is copied, and where there is no memory for that, it is changed in
 * place, too.
 */
#include "postgres.h"

#include <dlfcn.h>

#include "tcop/tcopprot.h"
#include "utils/memutils.h"

#include "format/log_text.h"
#include "format/sql_literals.h"
#include "format/tree_text.h"
#include "server/compat.h"
#include "server/redaction/entry.h"
#include "server/redaction/known.h"
#include "server/redaction/looks.h"
#include "server/redaction/names.h"
#include "server/redaction/statement.h"

typedef struct Entry
{
	ErrorData  *edata;
	bool		carries;		/* the statement carries secrets */
	bool		is_exact;		/* the message has the statement's text without literals */
} Entry;

typedef size_t (*Hide) (char *text, size_t len, bool backslashes);

static void
hide_in(char *field, Hide hide)
{
	field[hide(field, strlen(field), kv_backslashes_escape())] = '\0';
}

static void
hide_all(char *field)
{
	static const char instead[] = "(not shown by key_vault)";

	if (strlen(field) >= strlen(instead))
		memcpy(field, instead, sizeof(instead));
	else
		memset(field, '*', strlen(field));
}

static void
hide_known(char *field, const KvKnownValues *known)
{
	Size		len;

	if (field == NULL)
		return;
	len = strlen(field);
	if (known != NULL && kv_known_values_stand_in(known, field, len))
		field[len = kv_known_values_hide(known, field, len)] = '\0';
	if (kv_has_look(field, len))
		field[kv_hide_looks(field, len)] = '\0';
}

static bool
is_from(const ErrorData *edata, const char *function)
{
	return edata->funcname != NULL && strcmp(edata->funcname, function) == 0;
}

/*
 * Whether the message is key_vault's, which writes no secret into it.  The names of
 * functions are constants of the library that they are in.
 */
static bool
is_ours(const ErrorData *edata)
{
	Dl_info		writer;
	Dl_info		us;

	return edata->funcname != NULL && dladdr(edata->funcname, &writer) != 0 &&
		dladdr(&hide_all, &us) != 0 && writer.dli_fbase == us.dli_fbase;
}

/* Whether the entry is about this field's own text, if not about the statement's. */
static bool
carries(const Entry *entry, const char *field)
{
	return entry->carries || (field != NULL && kv_text_carries_secrets(field, strlen(field)));
}

/*
 * `statement: SELECT ...`, `duration: ... execute p: SELECT ...`: the message ends
 * with the statement's text.  Where that begins; the message's length when it does not.
 */
static Size
statement_in(const char *message, Size len)
{
	Size		text_len;
	const char *text = kv_statement_text(&text_len);

	if (text_len == 0 || text_len > len ||
		memcmp(message + len - text_len, text, text_len) != 0)
		return len;
	return len - text_len;
}

/* False when the message has no statement's text, or there is no memory. */
static bool
replace_statement(ErrorData *edata)
{
	Size		len = strlen(edata->message);
	Size		begin = statement_in(edata->message, len);
	char	   *copy;

	if (begin == len)
		return false;
	copy = kv_without_literals(edata->message, begin, edata->message + begin, len - begin,
							   edata->assoc_context);
	if (copy == NULL)
		return false;
	pfree(edata->message);
	edata->message = copy;
	return true;
}

/* The word that the message quotes is in the statement, or the query in it, as that is shown. */
static bool
quotes_what_is_shown(const ErrorData *edata)
{
	const char *shown = edata->internalquery != NULL ? edata->internalquery : debug_query_string;
	const char *begin = strchr(edata->message, '"');
	const char *end = strrchr(edata->message, '"');

	if (begin == NULL || end == begin || shown == NULL)
		return false;
	begin++;
	if (kv_sql_is_digit(*begin) || *begin == '"')
		return false;
	return memmem(shown, strlen(shown), begin, end - begin) != NULL;
}

/* Errors that quote the value that they are about. */
static bool
is_about_value(const ErrorData *edata)
{
	return edata->elevel >= ERROR &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_DATA_EXCEPTION;
}

/* Of those, and of errors that quote a piece of the text. */
static void
hide_quoted_value(ErrorData *edata)
{
	Size		len = strlen(edata->message);

	if (is_about_value(edata) ||
		(edata->elevel >= ERROR && edata->sqlerrcode == ERRCODE_SYNTAX_ERROR &&
		 !quotes_what_is_shown(edata)))
		edata->message[kv_log_hide_quoted(edata->message, len)] = '\0';
}

/* As carries; of the running statement's text it is known already. */
static bool
message_carries(const Entry *entry)
{
	const char *message = entry->edata->message;
	Size		len = strlen(message);

	return entry->carries || kv_text_carries_secrets(message, statement_in(message, len));
}

static void
redact_message(Entry *entry)
{
	ErrorData  *edata = entry->edata;

	if (edata->message == NULL || !message_carries(entry))
		return;
	entry->is_exact = replace_statement(edata);
	if (entry->is_exact)
		return;
	if (is_from(edata, "explain_ExecutorEnd"))
		hide_in(edata->message, kv_log_hide_in_plan);
	else if (strncmp(edata->message, "AUDIT: ", strlen("AUDIT: ")) == 0)
		hide_in(edata->message, kv_log_hide_in_audit);
	else if (!is_ours(edata))
	{
		hide_in(edata->message, kv_log_hide_literals);
		if (entry->carries)
			hide_quoted_value(edata);
	}
}

/* A tree has constants as numbers, and bound parameters may be among them. */
static bool
is_tree_with_secrets(const char *tree)
{
	const KvKnownValues *known = kv_known_secrets(NULL);
	Size		len = strlen(tree);
	Size		at = 0;
	Size		count;
	char		bytes[4096];
	bool		found = false;

	while (!found && kv_tree_next_bytes(tree, len, &at, bytes, sizeof(bytes), &count))
		found = (known != NULL && kv_known_values_stand_in(known, bytes, count)) ||
			kv_has_look(bytes, count);
	explicit_bzero(bytes, sizeof(bytes));
	return found;
}

/* The statement of a tree is the one that runs, or one that the context quotes. */
static void
redact_tree(const Entry *entry, char *tree)
{
	if (tree != NULL && (carries(entry, entry->edata->context) || is_tree_with_secrets(tree)))
		hide_all(tree);
}

static void
redact_detail(const Entry *entry, char *detail)
{
	if (detail != NULL && carries(entry, detail) && !is_ours(entry->edata))
	{
		hide_in(detail, kv_log_hide_literals);
		if (entry->carries &&
			ERRCODE_TO_CATEGORY(entry->edata->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
			detail[kv_log_hide_row(detail, strlen(detail))] = '\0';
		/* a word of JSON */
		if (entry->carries && is_about_value(entry->edata))
			detail[kv_log_hide_quoted(detail, strlen(detail))] = '\0';
	}
}

static void
redact_context(const Entry *entry)
{
	char	   *context = entry->edata->context;

	if (context == NULL || !carries(entry, context))
		return;
	/* while a parameter is read, nothing else knows of its value */
	if (entry->carries && is_about_value(entry->edata))
		context[kv_log_hide_json(context, strlen(context))] = '\0';
	hide_in(context, kv_log_hide_literals);
	if (entry->carries)
		context[kv_log_hide_copied(context, strlen(context))] = '\0';
}

static void
redact_internal_query(const Entry *entry)
{
	ErrorData  *edata = entry->edata;
	char	   *copy;

	if (edata->internalquery == NULL || !carries(entry, edata->internalquery))
		return;
	copy = kv_without_literals("", 0, edata->internalquery, strlen(edata->internalquery),
							   edata->assoc_context);
	if (copy == NULL)
	{
		hide_all(edata->internalquery);
		return;
	}
	pfree(edata->internalquery);
	edata->internalquery = copy;
}

/* Hides what is known; all, when not all is. */
static void
hide_argument(char *field, const KvKnownValues *known, bool too_many)
{
	if (too_many && field != NULL)
		hide_all(field);
	else
		hide_known(field, known);
}

/* Of a statement that carries secrets, what else is said may quote its arguments. */
static void
hide_arguments(const Entry *entry)
{
	ErrorData  *edata = entry->edata;
	const char *const texts[KV_ENTRY_FIELDS] = {
		entry->is_exact ? NULL : edata->message,
		edata->detail, edata->detail_log, edata->hint, edata->context
	};
	const KvKnownValues *known;
	bool		too_many;

	if (!entry->carries || is_ours(edata))
		return;
	known = kv_known_arguments(texts, edata->context, &too_many);
	hide_argument(edata->detail, known, too_many);
	hide_argument(edata->detail_log, known, too_many);
	hide_argument(edata->hint, known, too_many);
	if (!entry->is_exact)
		hide_argument(edata->message, known, too_many);
	/* which is not changed before it has been searched for */
	redact_context(entry);
	known = kv_known_arguments(texts, NULL, &too_many);
	hide_argument(edata->context, known, too_many);
}

/* Hides what the statement has passed to key_vault, and what looks like a key. */
static void
hide_secrets(ErrorData *edata)
{
	const char *const texts[KV_ENTRY_FIELDS] = {
		edata->message, edata->detail, edata->detail_log, edata->hint, edata->context,
		edata->internalquery, edata->hide_stmt ? NULL : debug_query_string
	};
	const KvKnownValues *known = kv_known_secrets(texts);

	hide_known(edata->message, known);
	hide_known(edata->detail, known);
	hide_known(edata->detail_log, known);
	hide_known(edata->hint, known);
	hide_known(edata->context, known);
	hide_known(edata->internalquery, known);
	if (!edata->hide_stmt)
		kv_statement_hide_known(known);
}

void
kv_entry_redact(ErrorData *edata)
{
	Entry		entry = {.edata = edata};

	entry.carries = kv_statement_look();
	redact_internal_query(&entry);
	redact_message(&entry);
	if (is_from(edata, "elog_node_display"))
		redact_tree(&entry, edata->detail);
	else
		redact_detail(&entry, edata->detail);
	redact_detail(&entry, edata->detail_log);
	hide_arguments(&entry);
	redact_context(&entry);
	hide_secrets(edata);
}
