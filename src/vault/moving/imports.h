/*
 * imports.h
 *		Moving keys in from elsewhere.
 */
#ifndef KV_IMPORTS_H
#define KV_IMPORTS_H

#include "utils/tuplestore.h"

typedef struct KvImportCounts
{
	uint64		imported;
	uint64		skipped;		/* older than what is stored, or doubles */
	uint64		failed;			/* each with a WARNING */
} KvImportCounts;

typedef struct KvImportOptions
{
	text	   *passphrase;		/* of OpenPGP messages, or NULL */
	bool		refuse_odd;		/* a key that is odd (key_checks.h) fails its row */
} KvImportOptions;

/*
 * Stores the rows of a query (import_query.h).  Of several rows for one user
 * and provider the newest is taken, and a key that is already stored is replaced only
 * by a newer row.  Rows are stored in the database, in either mode.  No message holds
 * a key, in whichever column of the query it stands.
 */
extern KvImportCounts kv_import_keys(const char *query, const KvImportOptions *options);

/*
 * Runs store(state) in a subtransaction of its own.  NULL; or what is wrong with the key
 * that was to be stored, and then nothing of it is.  All other errors are thrown.
 */
extern ErrorData *kv_import_try(void (*store) (void *state), void *state);

/*
 * Stores the provider keys in the text of a .env file for a user; puts a row
 * (provider, variable, version) for each into the result.  One that cannot be told or
 * stored has version NULL, and a WARNING says why.
 *
 * Errors: 22023 when the text is too long.
 */
extern void kv_import_dotenv(text *user_id, text *content,
							 Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_IMPORTS_H */
