/*
 * dotenv_file.c
 *		Changes of the .env file that follow the transaction.
 *
 * A change waits in memory until the transaction is about to commit.  Then the
 * new file is written beside the old one and flushed, under a lock, where an
 * error still rolls all back.  Only renaming it is left for after the commit,
 * when an error would stop the server: that is a WARNING.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "format/dotenv.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/file_change.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "vault/laptop/dotenv_changes.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/laptop/dotenv_text.h"

/* A .env file that has none is made for its owner alone. */
#define NEW_FILE_MODE 0600

/* From just before the commit to just after it. */
static KvPendingFile *pending = NULL;
static int	lock = -1;

/* Applies one variable's newest change to text; *result is malloc'd. */
static void
apply_one(const KvDotenvVariable *variable, const char *text, Size len,
		  char **result, size_t *result_len)
{
	const KvDotenvChange *change = variable->newest;
	size_t		line;
	KvStatus	status;

	if (change->value != NULL)
		status = kv_dotenv_set(text, len, variable->name, change->value, change->len,
							   result, result_len, &line);
	else
		status = kv_dotenv_unset(text, len, variable->name, result, result_len, &line);
	if (status == KV_UNREPRESENTABLE)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("variable %s cannot be written to a .env file", variable->name),
				 errdetail("There is no spelling that every reader of \"%s\" would read back as the same value.",
						   kv_setting_dotenv_file),
				 errhidestmt(true), errhidecontext(true)));
	if (status != KV_OK)
		kv_dotenv_text_report(status, line);
}

/* What the file shall hold; *text is malloc'd.  There is a change. */
static void
apply_all(const char *base, Size base_len, char **text, Size *len)
{
	char	   *volatile before = NULL;
	volatile size_t before_len = base_len;
	dlist_iter	iter;

	PG_TRY();
	{
		dlist_foreach(iter, kv_dotenv_changes())
		{
			char	   *after;
			size_t		after_len;

			apply_one(dlist_container(KvDotenvVariable, node, iter.cur),
					  before != NULL ? before : base, before_len, &after, &after_len);
			kv_dotenv_free(before, before_len);
			before = after;
			before_len = after_len;
		}
	}
	PG_CATCH();
	{
		kv_dotenv_free(before, before_len);
		PG_RE_THROW();
	}
	PG_END_TRY();
	*text = before;
	*len = before_len;
}

static void
write_pending(void)
{
	const char *path = kv_setting_dotenv_file;
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	char	   *volatile base = NULL;
	volatile Size base_allocated = 0;
	char	   *volatile text = NULL;
	volatile Size text_len = 0;

	lock = kv_private_file_lock(path, KV_DOTENV_FILE_FLAGS);
	PG_TRY();
	{
		Size		base_len;
		Size		allocated;
		Size		len;
		char	   *changed;

		base = kv_private_file_read(path, KV_DOTENV_MAX, KV_DOTENV_FILE_FLAGS, NULL,
									&base_len, &allocated);
		base_allocated = allocated;
		apply_all(base, base_len, &changed, &len);
		text = changed;
		text_len = len;
		pending = kv_private_file_prepare(path, changed, len, NEW_FILE_MODE,
										  KV_DOTENV_FILE_FLAGS);
	}
	PG_FINALLY();
	{
		if (base != NULL)
			kv_locked_free(base, base_allocated);
		if (text != NULL)
			kv_dotenv_free(text, text_len);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
}

static void
publish_pending(void)
{
	if (pending != NULL && !kv_private_file_publish(pending))
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not put the new file \"%s\" in place: %m",
						kv_setting_dotenv_file),
				 errdetail("The transaction has committed without it."),
				 errhint("Set the key again.")));
	pending = NULL;
}

static void
end_transaction(void)
{
	if (lock >= 0)
		kv_private_file_unlock(lock);
	lock = -1;
	kv_dotenv_changes_forget();
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!dlist_is_empty(kv_dotenv_changes()))
				write_pending();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (!dlist_is_empty(kv_dotenv_changes()))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has changed the .env file"),
						 errhint("Use COMMIT.")));
			break;
		case XACT_EVENT_COMMIT:
			publish_pending();
			end_transaction();
			break;
		case XACT_EVENT_ABORT:
			if (pending != NULL)
				kv_private_file_discard(pending);
			pending = NULL;
			end_transaction();
			break;
		default:
			break;
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subtransaction,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		kv_dotenv_changes_drop(subtransaction);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		kv_dotenv_changes_hand_up(subtransaction, parent);
}

void
kv_dotenv_file_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}

/* Text in the database's encoding; NULL when that lacks a character. */
static char *
to_database_encoding(const char *utf8, int utf8_len, int *len)
{
	const char *converted = kv_try_from_utf8(utf8, utf8_len, len);
	char	   *result;

	if (converted == NULL)
		return NULL;
	result = pnstrdup(converted, *len);
	if (converted != utf8)
		explicit_bzero(unconstify(char *, converted), *len);
	return result;
}

/* What a variable that was found holds; NULL and why when that cannot be told. */
static char *
found_value(const char *name, const KvDotenvValue *value, int *len, KvDotenvObstacle *why)
{
	char	   *result;

	if (!pg_verify_mbstr(PG_UTF8, value->data, value->len, true))
	{
		*why = kv_dotenv_not_text(name, value, kv_dotenv_text_where());
		return NULL;
	}
	result = to_database_encoding(value->data, value->len, len);
	if (result == NULL)
		*why = kv_dotenv_not_in_encoding(name, value, kv_dotenv_text_where());
	return result;
}

static char *
value_on_disk(const char *name, int *len, KvDotenvObstacle *why)
{
	KvDotenvText text = kv_dotenv_text_current();
	KvDotenvValue value = {0};
	size_t		line;
	KvStatus	status;
	char	   *result = NULL;

	value.size = Max(text.len, 1);
	value.data = palloc(value.size);
	PG_TRY();
	{
		status = kv_dotenv_get(text.bytes, text.len, name, &value, &line);
		if (status == KV_AMBIGUOUS)
			*why = kv_dotenv_ambiguous(name, &value, kv_dotenv_text_where());
		else if (status != KV_OK)
			kv_dotenv_text_report(status, line);
		else if (value.found)
			result = found_value(name, &value, len, why);
	}
	PG_FINALLY();
	{
		explicit_bzero(value.data, value.size);
		pfree(value.data);
	}
	PG_END_TRY();
	return result;
}

char *
kv_dotenv_file_try_value(const char *name, int *len, KvDotenvObstacle *why)
{
	const KvDotenvChange *change = kv_dotenv_changes_find(name);

	memset(why, 0, sizeof(*why));
	if (change == NULL)
		return value_on_disk(name, len, why);
	if (change->value == NULL)
		return NULL;
	return to_database_encoding(change->value, change->len, len);
}

char *
kv_dotenv_file_value(const char *name, int *len)
{
	KvDotenvObstacle why;
	char	   *value = kv_dotenv_file_try_value(name, len, &why);

	if (value == NULL && why.code != 0)
		kv_dotenv_report_obstacle(ERROR, &why);
	return value;
}

/* What can be said before the commit about whether the changes can be made. */
static void
check_changes(void)
{
	const char *path = kv_private_file_resolve(kv_setting_dotenv_file, KV_DOTENV_FILE_FLAGS);
	KvDotenvText text = kv_dotenv_text_current();
	struct stat st;
	char	   *changed;
	Size		len;

	(void) kv_private_file_is_own(path, &st);
	apply_all(text.bytes, text.len, &changed, &len);
	kv_dotenv_free(changed, len);
}

void
kv_dotenv_file_change(const char *name, const char *value, int len)
{
	KvDotenvVariable *variable;
	int			utf8_len = 0;
	const char *utf8 = value != NULL ? kv_to_utf8(value, len, &utf8_len) : NULL;

	variable = kv_dotenv_changes_add(name, utf8, utf8_len);
	if (utf8 != value)
		explicit_bzero(unconstify(char *, utf8), utf8_len);
	PG_TRY();
	{
		check_changes();
	}
	PG_CATCH();
	{
		kv_dotenv_changes_take_back(variable);
		PG_RE_THROW();
	}
	PG_END_TRY();
	kv_dotenv_changes_keep(variable);
}
