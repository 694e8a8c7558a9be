/*
 * literal.c
 *		Whether a secret that was passed to key_vault stands literally in the text of
 *		the running statement, or of a function around the call.
 */
#include "postgres.h"

#include "nodes/params.h"
#include "utils/elog.h"

#include "server/redaction/redaction.h"
#include "server/redaction/statement.h"
#include "server/redaction/values.h"

/* Below this many bytes a match between other characters means nothing. */
#define UNQUOTED_MIN 8

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

	/* no spelling of it is shorter than the secret itself */
	if (text == NULL || len == 0 || strlen(text) < (size_t) len)
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

/*
 * The callbacks without the one that quotes bound parameters, which are no text of a
 * statement.
 */
static ErrorContextCallback *
without_parameters(const ErrorContextCallback *stack)
{
	ErrorContextCallback *first = NULL;
	ErrorContextCallback **next = &first;

	for (; stack != NULL; stack = stack->previous)
	{
		if (stack->callback == ParamsErrorCallback)
			continue;
		*next = palloc(sizeof(ErrorContextCallback));
		**next = *stack;
		next = &(*next)->previous;
	}
	*next = NULL;
	return first;
}

/* A function's body: its statements are quoted as the context of errors. */
static bool
stands_literally_in_context(const char *secret, int len)
{
	ErrorContextCallback *stack = error_context_stack;
	char	   *context = NULL;
	bool		found;

	/* an error puts it back by itself */
	error_context_stack = without_parameters(stack);
	if (error_context_stack != NULL)
		context = GetErrorContextStack();
	error_context_stack = stack;
	found = stands_literally_in(context, secret, len);
	if (context)
	{
		explicit_bzero(context, strlen(context));
		pfree(context);
	}
	return found;
}

bool
kv_redaction_note_secret(const char *secret, int len)
{
	Size		text_len;
	const char *text = kv_statement_text(&text_len);
	bool		in_text = stands_literally_in(text, secret, len);

	if (!kv_secrets_keep(secret, len) || in_text)
		kv_statement_carries_secret();
	return in_text || stands_literally_in_context(secret, len);
}
