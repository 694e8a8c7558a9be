/*
 * import_query.h
 *		The rows of any query, as keys to be imported.
 */
#ifndef KV_IMPORT_QUERY_H
#define KV_IMPORT_QUERY_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

typedef struct KvImportRow
{
	uint64		number;			/* from 1 */
	text	   *user_id;		/* any of these may be NULL */
	text	   *provider;
	text	   *key;			/* plaintext, unless encrypted is set */
	bytea	   *encrypted;		/* an OpenPGP message of pgp_sym_encrypt */
	bool		has_time;
	bool		has_bad_time;	/* it is there, and cannot be read */
	TimestampTz changed_at;
	Jsonb	   *attributes;
	bool		has_bad_attributes; /* they are there, and are no JSON */
} KvImportRow;

typedef void (*KvImportConsumer) (const KvImportRow *row, void *state);

/*
 * Runs a SELECT with the caller's rights and the snapshot of the calling
 * statement, and hands on its rows: user, provider, key and, if there are a fourth and a
 * fifth column, the time of change and the attributes.  The rows go by; nothing keeps them.
 *
 * Errors: 22023 for a query that is no SELECT of three to five such columns.  Those of
 * the query itself keep their SQLSTATE; their messages are shown only when they are
 * about names, rights or the server, because others quote what was read.
 */
extern void kv_import_query_run(const char *query, KvImportConsumer consumer,
								void *state);

#endif							/* KV_IMPORT_QUERY_H */
