/*
 * imports.c
 *		Moving keys in: from any query, and from the text of a .env file.
 *
 * A query is run twice: first to learn which row of a user and provider is the
 * newest, then to store those.  Sorting instead would spill plaintext into
 * temporary files.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "format/dotenv.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "store/import_query.h"
#include "store/pgcrypto.h"
#include "store/secret_reads.h"
#include "vault/identity/identity.h"
#include "vault/moving/imports.h"
#include "vault/providers/providers.h"
#include "vault/secrets/hint.h"
#include "vault/secrets/secrets.h"

#define PROGRESS_ROWS 10000
#define QUOTED_MAX 20			/* of a provider's name: it may be a key */

/* A user and provider: two hashes of both, 128 bits that stand for them. */
typedef struct ImportKey
{
	uint64		hashes[2];
} ImportKey;

typedef struct ImportEntry
{
	ImportKey	key;
	bool		has_time;
	TimestampTz newest;
	bool		done;
} ImportEntry;

typedef struct Import
{
	HTAB	   *entries;
	text	   *passphrase;
	KvImportCounts counts;
	TimestampTz started;
} Import;

static ImportKey
key_of(const KvImportRow *row)
{
	const KvProvider *provider = kv_provider_find(row->provider);
	const text *name = provider != NULL ? provider->name : row->provider;
	StringInfoData both;
	ImportKey	key;

	initStringInfo(&both);
	appendBinaryStringInfo(&both, VARDATA_ANY(row->user_id), VARSIZE_ANY_EXHDR(row->user_id));
	appendStringInfoChar(&both, '\0');
	appendBinaryStringInfo(&both, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	for (int i = 0; i < 2; i++)
		key.hashes[i] = hash_bytes_extended((unsigned char *) both.data, both.len, i + 1);
	pfree(both.data);
	return key;
}

/* The first pass: which row is the newest. */
static void
note_time(const KvImportRow *row, void *state)
{
	Import	   *import = state;
	ImportEntry *entry;
	ImportKey	key;
	bool		found;

	if (row->user_id == NULL || row->provider == NULL)
		return;
	key = key_of(row);
	entry = hash_search(import->entries, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->has_time = row->has_time;
		entry->newest = row->changed_at;
		entry->done = false;
	}
	else if (row->has_time && (!entry->has_time || row->changed_at > entry->newest))
	{
		entry->has_time = true;
		entry->newest = row->changed_at;
	}
}

/* Whether the row is the one of its user and provider that counts. */
static bool
is_newest(const ImportEntry *entry, const KvImportRow *row)
{
	return !entry->done && entry->has_time == row->has_time &&
		(!row->has_time || row->changed_at == entry->newest);
}

/* Whether what is stored must stay: it is not older than the row. */
static bool
is_stored_already(const KvSecretTarget *target, const KvImportRow *row)
{
	volatile bool stored;

	KV_ACT_FOR(target->name.user_id);
	{
		TimestampTz since;

		stored = kv_secret_row_current_since(&target->name, &since) &&
			(!row->has_time || row->changed_at <= since);
	}
	KV_ACT_END();
	return stored;
}

static text *
plaintext_of(const KvImportRow *row, text *passphrase)
{
	if (row->encrypted == NULL)
		return row->key;
	if (passphrase == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the key is encrypted, and no passphrase was given")));
	return kv_pgp_sym_decrypt(row->encrypted, passphrase);
}

/* Stores one row; false when it was to be skipped. */
static bool
store_row(const KvImportRow *row, text *passphrase)
{
	KvSecretArgs args = {row->user_id, row->provider, cstring_to_text("default")};
	KvSecretTarget target = kv_secret_target(&args);
	KvSetOptions options = {0};
	text	   *api_key;

	if (is_stored_already(&target, row))
		return false;
	api_key = plaintext_of(row, passphrase);
	PG_TRY();
	{
		(void) kv_redaction_note_secret(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
		(void) kv_secret_store(&target, api_key, &options);
	}
	PG_FINALLY();
	{
		if (api_key != row->key)
			explicit_bzero(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
	}
	PG_END_TRY();
	return true;
}

/* Errors that are one row's fault; all others end the import. */
static bool
is_about_the_row(int code)
{
	return code == KV_ERRCODE_BAD_ARGUMENT || code == KV_ERRCODE_NO_ARGUMENT ||
		code == KV_ERRCODE_UNKNOWN || code == KV_ERRCODE_OTHER_USER ||
		code == ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION ||
		code == ERRCODE_UNTRANSLATABLE_CHARACTER ||
		code == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
}

static const char *
quoted_provider(const text *provider)
{
	const char *name = provider != NULL ? text_to_cstring(provider) : "NULL";

	return strlen(name) <= QUOTED_MAX ? name :
		psprintf("%s...", pnstrdup(name, pg_mbcliplen(name, strlen(name), 4)));
}

/* Stars and the hint. */
static const char *
masked_key(const text *key)
{
	text	   *hint = key != NULL ? kv_hint(key) : NULL;

	return hint != NULL ? psprintf("****%s", text_to_cstring(hint)) : "****";
}

static void
report_row(const KvImportRow *row, const char *why)
{
	ereport(WARNING,
			(errmsg("row " UINT64_FORMAT " is not imported: user \"%s\", provider \"%s\", key %s",
					row->number,
					row->user_id != NULL ? text_to_cstring(row->user_id) : "NULL",
					quoted_provider(row->provider), masked_key(row->key)),
			 errdetail("%s.", why),
			 errhidestmt(true), errhidecontext(true)));
}

/* Stores one row in a subtransaction of its own. */
static void
import_row(Import *import, const KvImportRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile problem = NULL;
	volatile bool stored = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		stored = store_row(row, import->passphrase);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		problem = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	if (problem == NULL)
	{
		if (stored)
			import->counts.imported++;
		else
			import->counts.skipped++;
		return;
	}
	if (!is_about_the_row(problem->sqlerrcode))
		ReThrowError(problem);
	import->counts.failed++;
	report_row(row, problem->message);
}

static void
tell_progress(const Import *import, uint64 rows)
{
	double		seconds = (double) (GetCurrentTimestamp() - import->started) / USECS_PER_SEC;

	ereport(NOTICE,
			(errmsg(UINT64_FORMAT " rows read: " UINT64_FORMAT " imported, " UINT64_FORMAT " skipped, " UINT64_FORMAT " failed, %.0f rows a second",
					rows, import->counts.imported, import->counts.skipped,
					import->counts.failed, seconds > 0 ? rows / seconds : 0)));
}

/* The second pass: store the newest. */
static void
import_newest(const KvImportRow *row, void *state)
{
	Import	   *import = state;
	ImportEntry *entry;
	ImportKey	key;

	if (row->number % PROGRESS_ROWS == 0)
		tell_progress(import, row->number);
	if (row->user_id == NULL || row->provider == NULL ||
		(row->key == NULL && row->encrypted == NULL))
	{
		import->counts.failed++;
		report_row(row, "User, provider or key is NULL");
		return;
	}
	key = key_of(row);
	entry = hash_search(import->entries, &key, HASH_FIND, NULL);
	if (entry == NULL || !is_newest(entry, row))
	{
		import->counts.skipped++;
		return;
	}
	entry->done = true;
	import_row(import, row);
}

KvImportCounts
kv_import_keys(const char *query, text *passphrase)
{
	Import		import = {0};
	HASHCTL		control = {0};

	if (passphrase != NULL)
		(void) kv_redaction_note_secret(VARDATA_ANY(passphrase), VARSIZE_ANY_EXHDR(passphrase));
	control.keysize = sizeof(ImportKey);
	control.entrysize = sizeof(ImportEntry);
	control.hcxt = CurrentMemoryContext;
	import.entries = hash_create("key_vault import", 1024, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	import.passphrase = passphrase;
	import.started = GetCurrentTimestamp();

	kv_import_query_run(query, note_time, &import);
	kv_import_query_run(query, import_newest, &import);
	hash_destroy(import.entries);

	ereport(NOTICE,
			(errmsg("the keys are still where they came from"),
			 errdetail("The source table, its dead rows, its WAL, replicas and older backups hold them as they were."),
			 errhint("When the application reads from key_vault: drop the source table (or null the column and VACUUM FULL it), let WAL archives and backups run out, and have users replace keys that others could have read.")));
	return import.counts;
}

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
