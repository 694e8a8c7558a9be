/*
 * dotenv_import.c
 *		Moving keys in from the text of a .env file.
 *
 * A variable that is odd, or a key that is refused, takes no other one away.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "format/dotenv.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "vault/audit/calls.h"
#include "vault/identity/identity.h"
#include "vault/laptop/dotenv_words.h"
#include "vault/moving/imports.h"
#include "vault/providers/providers.h"
#include "vault/secrets/secrets.h"

#define WHERE "the content"

/* The text on its way in, in UTF-8. */
typedef struct Content
{
	text	   *user_id;
	const char *utf8;
	int			len;
	char	   *buffer;			/* for a value, which may be as long */
	char	   *beside;			/* for one that stands beside it */
} Content;

/* One provider's key on its way. */
typedef struct Storing
{
	KvSecretArgs args;
	text	   *api_key;
	Jsonb	   *attributes;		/* or NULL */
	int32		version;
} Storing;

static void
store_key(void *state)
{
	Storing    *storing = state;
	KvSetOptions options = {0};

	/* the variable's name stands in the content, which no message may show */
	options.attributes = storing->attributes;
	options.what = psprintf("API key of provider \"%s\"", text_to_cstring(storing->args.provider));
	storing->version = kv_secret_set(&storing->args, storing->api_key, &options);
	kv_audit_leave_part(storing->args.user_id, storing->args.provider, storing->args.label,
						NULL, storing->version, true);
}

static text *
to_text(const char *utf8, int utf8_len)
{
	int			len;
	const char *converted = kv_from_utf8(utf8, utf8_len, &len);
	text	   *result = cstring_to_text_with_len(converted, len);

	if (converted != utf8)
		explicit_bzero(unconstify(char *, converted), len);
	return result;
}

/*
 * By provider: what a message has in common with the content, such as the name of a
 * variable, is masked.
 */
static void
warn(int code, const text *provider, const char *detail, const char *hint)
{
	ereport(WARNING,
			(errcode(code),
			 errmsg("API key for provider \"%s\" is not imported", text_to_cstring(provider)),
			 errdetail("%s", detail),
			 hint ? errhint("%s", hint) : 0,
			 errhidestmt(true), errhidecontext(true)));
}

/* Stores one variable's value; the version, or 0 after a WARNING. */
static int32
import_value(const Content *content, text *provider, const KvDotenvValue *value, Jsonb *attributes)
{
	Storing		storing = {{content->user_id, provider, cstring_to_text("default")}, NULL, attributes, 0};
	ErrorData  *volatile problem = NULL;

	storing.api_key = to_text(value->data, value->len);
	PG_TRY();
	{
		problem = kv_import_try(store_key, &storing);
	}
	PG_FINALLY();
	{
		explicit_bzero(VARDATA(storing.api_key), VARSIZE(storing.api_key) - VARHDRSZ);
	}
	PG_END_TRY();
	if (problem != NULL)
	{
		warn(problem->sqlerrcode, provider, psprintf("Reason: %s.", problem->message), problem->hint);
		kv_audit_leave_refused_part(storing.args.user_id, provider, storing.args.label, problem->sqlerrcode);
	}
	return storing.version;
}

static void
report_status(KvStatus status)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg(WHERE " is not a .env file"),
			 errdetail("Reason: %s.", kv_status_text(status)),
			 errhidestmt(true), errhidecontext(true)));
}

/* What is in the way of a variable: it is there, and cannot be told. */
static void
warn_of_ambiguous(const text *provider, const char *variable, const KvDotenvValue *value)
{
	KvDotenvObstacle why = kv_dotenv_ambiguous(variable, value, WHERE);

	warn(KV_ERRCODE_BAD_ARGUMENT, provider, why.detail,
		 "Write it on a line of its own, in single quotes, without ${...} and backslashes.");
}

static void
push_text(KvJsonbState *state, JsonbIteratorToken token, const text *string)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = VARDATA_ANY(string);
	value.val.string.len = VARSIZE_ANY_EXHDR(string);
	kv_push_jsonb(state, token, &value);
}

/*
 * What stands beside a provider's key, or NULL.  False after a WARNING, when that cannot be
 * told: without its address a key would go to another one.
 */
static bool
find_attributes(const Content *content, const KvProvider *provider, Jsonb **attributes)
{
	KvJsonbState state = {0};
	bool		any = false;

	kv_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < provider->attribute_var_count; i++)
	{
		const KvAttributeVariable *var = &provider->attribute_vars[i];
		KvDotenvValue value = {.data = content->beside, .size = content->len + 1};
		size_t		line;
		KvStatus	status = kv_dotenv_get(content->utf8, content->len, var->variable, &value, &line);

		if (status == KV_AMBIGUOUS)
		{
			warn_of_ambiguous(provider->name, var->variable, &value);
			return false;
		}
		if (status != KV_OK)
			report_status(status);
		if (!value.found || value.len == 0)
			continue;
		push_text(&state, WJB_KEY, cstring_to_text(var->attribute));
		push_text(&state, WJB_VALUE, to_text(value.data, value.len));
		any = true;
	}
	kv_push_jsonb(&state, WJB_END_OBJECT, NULL);
	*attributes = any ? JsonbValueToJsonb(state.result) : NULL;
	return true;
}

/* Imports one provider's variable, if there is one; the result gets a row then. */
static void
import_variable(const Content *content, const KvProvider *provider,
				Tuplestorestate *result, TupleDesc columns)
{
	/* before the list of providers may be read anew */
	text	   *name = DatumGetTextPCopy(PointerGetDatum(provider->name));
	char	   *variable = pstrdup(provider->env_var);
	KvDotenvValue value = {.data = content->buffer, .size = content->len + 1};
	size_t		line;
	KvStatus	status = kv_dotenv_get(content->utf8, content->len, variable, &value, &line);
	Jsonb	   *attributes;
	int32		version = 0;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (status == KV_AMBIGUOUS)
		warn_of_ambiguous(name, variable, &value);
	else if (status != KV_OK)
		report_status(status);
	else if (!value.found || value.len == 0)
		return;
	else if (find_attributes(content, provider, &attributes))
		version = import_value(content, name, &value, attributes);

	values[0] = PointerGetDatum(name);
	values[1] = CStringGetTextDatum(variable);
	values[2] = Int32GetDatum(version);
	nulls[2] = version == 0;
	tuplestore_putvalues(result, columns, values, nulls);
}

static void
import_variables(const Content *content, Tuplestorestate *result, TupleDesc columns)
{
	const KvProvider *provider;
	size_t		line;
	KvStatus	status = kv_dotenv_check(content->utf8, content->len, &line);
	char	   *odd_lines;

	if (status != KV_OK)
		report_status(status);
	odd_lines = kv_dotenv_odd_lines_message(content->utf8, content->len, WHERE);
	if (odd_lines != NULL)
		kv_dotenv_warn_of_odd_lines(odd_lines);
	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
		import_variable(content, provider, result, columns);
}

void
kv_import_dotenv(text *user_id, text *content, Tuplestorestate *result, TupleDesc columns)
{
	Content		import;

	if (content == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("content is NULL")));
	/* before anything else can fail; which keys stand in it is told with each */
	(void) kv_redaction_note_secret(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content));
	import.user_id = kv_identity_require(user_id);
	import.utf8 = kv_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &import.len);
	import.buffer = palloc(import.len + 1);
	import.beside = palloc(import.len + 1);
	PG_TRY();
	{
		import_variables(&import, result, columns);
	}
	PG_FINALLY();
	{
		explicit_bzero(import.buffer, import.len + 1);
		explicit_bzero(import.beside, import.len + 1);
		if (import.utf8 != VARDATA_ANY(content))
			explicit_bzero(unconstify(char *, import.utf8), import.len);
	}
	PG_END_TRY();
}
