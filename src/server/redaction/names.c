/*
 * names.c
 *		Which texts carry secrets, by what they name.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/prepare.h"

#include "format/sql_calls.h"
#include "format/sql_names.h"
#include "server/compat.h"
#include "server/redaction/names.h"

#define NAMES_MAX 100
#define HARMLESS_MAX 8
#define HARMLESS_LEN 512		/* bytes of a text */

typedef struct NameList
{
	Size		count;
	KvSqlName	names[NAMES_MAX];
} NameList;

static const NameList *listed = NULL;

/* Whether this session may have prepared a statement that carries secrets. */
static bool may_be_prepared = false;

/*
 * Statements' texts with parameters that name nothing of ours: who prepares has few of
 * them, and each is asked for by several hooks.  To compare costs less than to look.
 */
static struct
{
	Size		len;			/* 0: there is none */
	bool		in_path;		/* key_vault was in the search_path */
	char		text[HARMLESS_LEN];
}			harmless[HARMLESS_MAX];
static int	next_harmless = 0;

bool
kv_redact_names_check(char **newval, void **extra, GucSource source)
{
	NameList   *list = kv_guc_malloc(sizeof(NameList));
	size_t		count;

	if (list == NULL)
		return false;
	if (!kv_sql_names_parse(*newval, list->names, NAMES_MAX, &count))
	{
		kv_guc_free(list);
		GUC_check_errdetail("The value is not a list of at most %d names, each with or without a schema.",
							NAMES_MAX);
		return false;
	}
	list->count = count;
	*extra = list;
	return true;
}

void
kv_redact_names_assign(const char *newval, void *extra)
{
	listed = extra;
	for (int i = 0; i < HARMLESS_MAX; i++)
		harmless[i].len = 0;
}

void
kv_note_prepared_text(void)
{
	may_be_prepared = true;
}

static bool
names_listed(const char *text, Size len)
{
	return listed != NULL && kv_sql_names_listed(text, len, listed->names, listed->count);
}

static bool
is_in_search_path(void)
{
	return namespace_search_path != NULL && strstr(namespace_search_path, "key_vault") != NULL;
}

static bool
calls_by_search_path(const char *text, Size len)
{
	return is_in_search_path() && kv_sql_calls_ours(text, len);
}

/* What the text's own words say, without following EXECUTE. */
static bool
names_secrets(const char *text, Size len)
{
	return kv_sql_names_ours(text, len) || names_listed(text, len) ||
		calls_by_search_path(text, len);
}

static bool
is_prepared_with_secrets(const char *name, void *argument)
{
	PreparedStatement *prepared;

	if (*name == '\0')
		return true;
	prepared = FetchPreparedStatement(name, false);
	return prepared != NULL && names_secrets(prepared->plansource->query_string,
											 strlen(prepared->plansource->query_string));
}

static bool
executes_secrets(const char *text, Size len)
{
	return may_be_prepared && kv_sql_any_executed(text, len, is_prepared_with_secrets, NULL);
}

bool
kv_text_carries_secrets(const char *text, Size len)
{
	return names_secrets(text, len) || executes_secrets(text, len);
}

static bool
is_harmless(const char *text, Size len)
{
	bool		in_path = is_in_search_path();

	for (int i = 0; i < HARMLESS_MAX; i++)
		if (len == harmless[i].len && in_path == harmless[i].in_path &&
			memcmp(text, harmless[i].text, len) == 0)
			return true;
	return false;
}

/* A text without parameters comes once, and may have literals that nobody else keeps. */
static void
note_harmless(const char *text, Size len)
{
	if (len > HARMLESS_LEN || memmem(text, len, "$1", 2) == NULL)
		return;
	memcpy(harmless[next_harmless].text, text, len);
	harmless[next_harmless].len = len;
	harmless[next_harmless].in_path = is_in_search_path();
	next_harmless = (next_harmless + 1) % HARMLESS_MAX;
}

bool
kv_statement_text_carries_secrets(const char *text, Size len)
{
	if (!is_harmless(text, len))
	{
		if (names_secrets(text, len))
			return true;
		note_harmless(text, len);
	}
	return executes_secrets(text, len);
}

bool
kv_text_binds_secrets(const char *text, Size len)
{
	return kv_sql_binds_secrets(text, len, kv_backslashes_escape()) &&
		!names_listed(text, len) && !calls_by_search_path(text, len) &&
		!executes_secrets(text, len);
}
