/*
 * imports.c
 *		Moving keys in from any query.
 *
 * A query is run twice: first to learn which row of a user and provider is the
 * newest, then to store those.  Sorting instead would spill plaintext into
 * temporary files.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "server/subtransaction.h"
#include "store/import_query.h"
#include "store/secret_reads.h"
#include "vault/audit/calls.h"
#include "vault/identity/identity.h"
#include "vault/moving/import_row.h"
#include "vault/moving/imports.h"
#include "vault/providers/providers.h"
#include "vault/secrets/secrets.h"

#define PROGRESS_ROWS 10000

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
	MemoryContext context;		/* that lives as long as the import */
	const KvImportOptions *options;
	KvImportCounts counts;
	TimestampTz started;

	/* keys that begin as none of their provider's do, and where the first one is */
	uint64		mismatches;
	char	   *first_mismatch;
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

	if (row->user_id == NULL || row->provider == NULL || row->has_bad_time)
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

static void
count_mismatch(Import *import, const KvSecretTarget *target, const KvImportRow *row,
			   const text *api_key)
{
	const KvProvider *provider = kv_provider_resolve(target->name.provider);

	if (kv_provider_key_matches(provider, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)))
		return;
	if (import->mismatches++ == 0)
		import->first_mismatch =
			MemoryContextStrdup(import->context,
								psprintf("row " UINT64_FORMAT ": %s", row->number, kv_import_row_names(row)));
}

/* One row on its way. */
typedef struct Storing
{
	Import	   *import;
	const KvImportRow *row;
	bool		stored;			/* false when it was to be skipped */
} Storing;

static void
store_row(void *state)
{
	Storing    *storing = state;
	Import	   *import = storing->import;
	const KvImportRow *row = storing->row;
	KvSecretArgs args = {row->user_id, row->provider, cstring_to_text("default")};
	KvSecretTarget target = kv_secret_target(&args);
	KvSetOptions options = {.attributes = row->attributes};
	text	   *api_key;

	if (is_stored_already(&target, row))
		return;
	api_key = kv_import_row_plaintext(row, import->options->passphrase);
	PG_TRY();
	{
		(void) kv_redaction_note_secret(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
		kv_import_row_check(&target, row, api_key, import->options);
		kv_audit_leave_part(target.name.user_id, target.name.provider, target.name.label,
							NULL, kv_secret_store(&target, api_key, &options), true);
		count_mismatch(import, &target, row, api_key);
	}
	PG_FINALLY();
	{
		if (api_key != row->key)
			explicit_bzero(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
	}
	PG_END_TRY();
	storing->stored = true;
}

/* Errors that are one key's fault; all others end the import. */
static bool
is_about_the_key(int code)
{
	return code == KV_ERRCODE_BAD_ARGUMENT || code == KV_ERRCODE_NO_ARGUMENT ||
		code == KV_ERRCODE_UNKNOWN || code == KV_ERRCODE_OTHER_USER ||
		code == ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION ||
		code == ERRCODE_UNTRANSLATABLE_CHARACTER ||
		code == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
}

static void
report_row(const KvImportRow *row, const char *why, const char *hint)
{
	ereport(WARNING,
			(errmsg("row " UINT64_FORMAT " is not imported: %s", row->number, kv_import_row_names(row)),
			 errdetail("%s.", why),
			 hint != NULL ? errhint("%s", hint) : 0,
			 errhidestmt(true), errhidecontext(true)));
}

ErrorData *
kv_import_try(void (*store) (void *state), void *state)
{
	ErrorData  *problem = kv_try_in_subtransaction(store, state);

	if (problem != NULL && !is_about_the_key(problem->sqlerrcode))
		ReThrowError(problem);
	return problem;
}

static void
refuse_row(Import *import, const KvImportRow *row, int code, const char *why, const char *hint)
{
	import->counts.failed++;
	report_row(row, why, hint);
	kv_audit_leave_refused_part(row->user_id, row->provider, NULL, code);
}

static void
import_row(Import *import, const KvImportRow *row)
{
	Storing		storing = {import, row, false};
	ErrorData  *problem = kv_import_try(store_row, &storing);

	if (problem != NULL)
		refuse_row(import, row, problem->sqlerrcode, problem->message, problem->hint);
	else if (storing.stored)
		import->counts.imported++;
	else
		import->counts.skipped++;
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
		refuse_row(import, row, KV_ERRCODE_NO_ARGUMENT, "User, provider or key is NULL", NULL);
		return;
	}
	if (row->has_bad_time)
	{
		refuse_row(import, row, KV_ERRCODE_BAD_ARGUMENT, "Its fourth column is no time",
				   "Pass user, provider, key and, if known, the time of change, in this order.");
		return;
	}
	if (row->has_bad_attributes)
	{
		refuse_row(import, row, KV_ERRCODE_BAD_ARGUMENT, "Its fifth column is no JSON",
				   "Pass user, provider, key, the time of change or NULL, and the attributes, in this order.");
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

static void
tell_mismatches(const Import *import)
{
	if (import->mismatches == 0)
		return;
	ereport(WARNING,
			(errmsg_plural(UINT64_FORMAT " imported key does not look like a key of its provider",
						   UINT64_FORMAT " imported keys do not look like keys of their providers",
						   import->mismatches, import->mismatches),
			 errdetail("The first one is in %s.", import->first_mismatch),
			 errhint("Formats change. If the query took keys from the wrong column, delete what was imported."),
			 errhidestmt(true), errhidecontext(true)));
}

KvImportCounts
kv_import_keys(const char *query, const KvImportOptions *options)
{
	Import		import = {0};
	HASHCTL		control = {0};
	text	   *passphrase = options->passphrase;

	if (passphrase != NULL)
		(void) kv_redaction_note_secret(VARDATA_ANY(passphrase), VARSIZE_ANY_EXHDR(passphrase));
	control.keysize = sizeof(ImportKey);
	control.entrysize = sizeof(ImportEntry);
	control.hcxt = CurrentMemoryContext;
	import.entries = hash_create("key_vault import", 1024, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	import.context = CurrentMemoryContext;
	import.options = options;
	import.started = GetCurrentTimestamp();

	kv_import_query_run(query, note_time, &import);
	kv_import_query_run(query, import_newest, &import);
	hash_destroy(import.entries);
	tell_mismatches(&import);

	ereport(NOTICE,
			(errmsg("the keys are still where they came from"),
			 errdetail("The source table, its dead rows, its WAL, replicas and older backups hold them as they were."),
			 errhint("When the application reads from key_vault: drop the source table (or null the column and VACUUM FULL it), let WAL archives and backups run out, and have users replace keys that others could have read.")));
	return import.counts;
}
