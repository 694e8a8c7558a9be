/*
 * dotenv_import.c
 *		Moving keys in from the text of a .env file.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "format/dotenv.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "vault/identity/identity.h"
#include "vault/moving/imports.h"
#include "vault/providers/providers.h"
#include "vault/secrets/secrets.h"

/* Stores one variable's value for its provider, and says so. */
static void
import_variable(text *user_id, const KvProvider *provider, const char *utf8, int utf8_len,
				Tuplestorestate *result, TupleDesc columns)
{
	KvSecretArgs args = {user_id, provider->name, cstring_to_text("default")};
	char	   *variable = pstrdup(provider->env_var);
	KvSetOptions options = {0};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	const char *converted;
	int			len;
	text	   *api_key;

	/* before the list of providers may be read anew */
	args.provider = DatumGetTextPCopy(PointerGetDatum(provider->name));
	converted = kv_from_utf8(utf8, utf8_len, &len);
	api_key = cstring_to_text_with_len(converted, len);
	if (converted != utf8)
		explicit_bzero(unconstify(char *, converted), len);

	/* the variable's name stands in the content, which no message may show */
	options.what = psprintf("API key of provider \"%s\"", text_to_cstring(args.provider));
	values[0] = PointerGetDatum(args.provider);
	values[1] = CStringGetTextDatum(variable);
	PG_TRY();
	{
		values[2] = Int32GetDatum(kv_secret_set(&args, api_key, &options));
	}
	PG_FINALLY();
	{
		explicit_bzero(VARDATA(api_key), len);
	}
	PG_END_TRY();
	tuplestore_putvalues(result, columns, values, nulls);
}

static void
report_content(KvStatus status, Size line)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("content is not a valid .env file at line %zu", line),
			 errdetail("Reason: %s.", kv_status_text(status)),
			 errhidestmt(true), errhidecontext(true)));
}

static void
import_variables(text *user_id, const char *utf8, int utf8_len, char *buffer,
				 Tuplestorestate *result, TupleDesc columns)
{
	const KvProvider *provider;

	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
	{
		KvDotenvValue value = {0};
		size_t		line;
		KvStatus	status;

		value.data = buffer;
		value.size = utf8_len + 1;
		status = kv_dotenv_get(utf8, utf8_len, provider->env_var, &value, &line);
		if (status != KV_OK)
			report_content(status, line);
		if (value.found && value.len > 0)
			import_variable(user_id, provider, value.data, value.len, result, columns);
	}
}

void
kv_import_dotenv(text *user_id, text *content, Tuplestorestate *result, TupleDesc columns)
{
	text	   *user;
	const char *utf8;
	int			utf8_len;
	char	   *buffer;

	if (content == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("content is NULL")));
	/* before anything else can fail; which keys stand in it is told with each */
	(void) kv_redaction_note_secret(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content));
	user = kv_identity_require(user_id);
	utf8 = kv_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &utf8_len);
	buffer = palloc(utf8_len + 1);
	PG_TRY();
	{
		import_variables(user, utf8, utf8_len, buffer, result, columns);
	}
	PG_FINALLY();
	{
		explicit_bzero(buffer, utf8_len + 1);
		if (utf8 != VARDATA_ANY(content))
			explicit_bzero(unconstify(char *, utf8), utf8_len);
	}
	PG_END_TRY();
}
