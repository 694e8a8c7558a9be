/*
 * secret_reads.h
 *		Reads the rows of key_vault_data.secrets, sealed as they are.
 *
 * The caller's rights are checked as the executor does it, and the table's policies
 * for the caller are run on every row.  Whoever calls has checked the identity and
 * acts for the user (identity.h).  Errors: 42501 without the rights; 0A000 for a
 * policy with a subquery.
 */
#ifndef KV_SECRET_READS_H
#define KV_SECRET_READS_H

#include "utils/tuplestore.h"

#include "store/secret_rows.h"

/*
 * The current version (the highest); false when there is none.  The row is palloc'd
 * in the caller's context.
 */
extern bool kv_secret_row_current(const KvSecretName *name, KvSecretRow *row);

/* When the current version was stored; false when there is none. */
extern bool kv_secret_row_current_since(const KvSecretName *name, TimestampTz *since);

/* One version, however old; false when there is none. */
extern bool kv_secret_row_version(const KvSecretName *name, int32 version,
								  KvSecretRow *row);

/*
 * The current version of every provider under one label, by provider: *rows is a
 * palloc'd array, the answer its length.
 */
extern uint64 kv_secret_rows_of_user(text *user_id, text *label,
									 KvSecretRow **rows);

/* Rows for list() and versions(), put into a set-returning function's result. */
extern void kv_secret_rows_list(text *user_id, Tuplestorestate *result,
								TupleDesc columns);
extern void kv_secret_rows_versions(const KvSecretName *name,
									Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_SECRET_READS_H */
