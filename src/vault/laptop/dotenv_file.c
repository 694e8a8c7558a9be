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
#include "vault/laptop/dotenv_file.h"
#include "vault/laptop/dotenv_text.h"

/* A .env file that has none is made for its owner alone. */
#define NEW_FILE_MODE 0600

typedef struct Change
{
	struct Change *older;
	SubTransactionId subtransaction;
	char	   *name;
	char	   *value;			/* UTF-8; NULL removes the variable */
	int			len;
} Change;

/* Newest first, in TopMemoryContext. */
static Change *changes = NULL;

/* From just before the commit to just after it. */
static KvPendingFile *pending = NULL;
static int	lock = -1;

static void
free_change(Change *change)
{
	if (change->value != NULL)
	{
		explicit_bzero(change->value, change->len);
		pfree(change->value);
	}
	pfree(change->name);
	pfree(change);
}

static void
forget_all(void)
{
	while (changes != NULL)
	{
		Change	   *change = changes;

		changes = change->older;
		free_change(change);
	}
}

/* Drops what a subtransaction changed: one variable, or all with name NULL. */
static void
forget_variable(const char *name, SubTransactionId subtransaction)
{
	Change	  **link = &changes;

	while (*link != NULL)
	{
		Change	   *change = *link;

		if (change->subtransaction == subtransaction &&
			(name == NULL || strcmp(change->name, name) == 0))
		{
			*link = change->older;
			free_change(change);
		}
		else
			link = &change->older;
	}
}

/* Applies a change and all before it; *text is malloc'd or NULL. */
static void
apply(const Change *change, const char *base, Size base_len, char **text, Size *len)
{
	char	   *before = NULL;
	size_t		before_len = 0;
	size_t		after_len;
	size_t		line;
	KvStatus	status;

	if (change->older != NULL)
		apply(change->older, base, base_len, &before, &before_len);
	else
		before_len = base_len;

	if (change->value != NULL)
		status = kv_dotenv_set(before ? before : base, before_len, change->name,
							   change->value, change->len, text, &after_len, &line);
	else
		status = kv_dotenv_unset(before ? before : base, before_len, change->name,
								 text, &after_len, &line);
	if (before != NULL)
		kv_dotenv_free(before, before_len);
	if (status == KV_UNREPRESENTABLE)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("the API key cannot be written to a .env file"),
				 errdetail("There is no spelling that every reader of \"%s\" would read back as the same key.",
						   kv_setting_dotenv_file),
				 errhidestmt(true), errhidecontext(true)));
	if (status != KV_OK)
		kv_dotenv_text_report(status, line);
	*len = after_len;
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

		base = kv_private_file_read(path, KV_DOTENV_MAX, KV_DOTENV_FILE_FLAGS,
									&base_len, &allocated);
		base_allocated = allocated;
		apply(changes, base, base_len, &changed, &len);
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
	forget_all();
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (changes != NULL)
				write_pending();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (changes != NULL)
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
		forget_variable(NULL, subtransaction);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (Change *change = changes; change != NULL; change = change->older)
		{
			if (change->subtransaction == subtransaction)
				change->subtransaction = parent;
		}
	}
}

void
kv_dotenv_file_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}

/* A value from the file in the database's encoding; utf8 is wiped. */
static char *
to_database_encoding(char *utf8, int utf8_len, Size line, int *len)
{
	const char *converted;
	char	   *result;

	if (!pg_verify_mbstr(PG_UTF8, utf8, utf8_len, true))
		kv_dotenv_text_report(KV_UNREPRESENTABLE, line);
	converted = kv_from_utf8(utf8, utf8_len, len);
	result = pnstrdup(converted, *len);
	if (converted != utf8)
		explicit_bzero(unconstify(char *, converted), *len);
	return result;
}

static char *
value_on_disk(const char *name, int *len)
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
		if (status != KV_OK)
			kv_dotenv_text_report(status, line);
		if (value.found)
			result = to_database_encoding(value.data, value.len, value.line, len);
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
kv_dotenv_file_value(const char *name, int *len)
{
	for (Change *change = changes; change != NULL; change = change->older)
	{
		if (strcmp(change->name, name) != 0)
			continue;
		if (change->value == NULL)
			return NULL;
		return to_database_encoding(change->value, change->len, 0, len);
	}
	return value_on_disk(name, len);
}

/* What can be said before the commit about whether the change can be made. */
static void
check_change(const Change *change)
{
	const char *path = kv_private_file_resolve(kv_setting_dotenv_file, KV_DOTENV_FILE_FLAGS);
	KvDotenvText text = kv_dotenv_text_current();
	struct stat st;
	char	   *changed;
	Size		len;

	(void) kv_private_file_is_own(path, &st);
	apply(change, text.bytes, text.len, &changed, &len);
	kv_dotenv_free(changed, len);
}

void
kv_dotenv_file_change(const char *name, const char *value, int len)
{
	Change	   *change = MemoryContextAllocZero(TopMemoryContext, sizeof(Change));

	change->name = MemoryContextStrdup(TopMemoryContext, name);
	if (value != NULL)
	{
		int			utf8_len;
		const char *utf8 = kv_to_utf8(value, len, &utf8_len);

		change->value = MemoryContextAlloc(TopMemoryContext, utf8_len + 1);
		memcpy(change->value, utf8, utf8_len);
		change->value[utf8_len] = '\0';
		change->len = utf8_len;
		if (utf8 != value)
			explicit_bzero(unconstify(char *, utf8), utf8_len);
	}
	change->subtransaction = GetCurrentSubTransactionId();
	change->older = changes;

	PG_TRY();
	{
		check_change(change);
	}
	PG_CATCH();
	{
		free_change(change);
		PG_RE_THROW();
	}
	PG_END_TRY();

	/* what the same subtransaction said before about the variable is void */
	forget_variable(name, change->subtransaction);
	change->older = changes;
	changes = change;
}
