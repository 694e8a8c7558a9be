/*
 * secret_names.h
 *		Many names of secrets at once, between C and SQL.
 */
#ifndef KV_SECRET_NAMES_H
#define KV_SECRET_NAMES_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "store/row_holders.h"
#include "store/secret_rows.h"
#include "store/statement.h"

/* For SQL: whether two rows are versions of one secret. */
#define KV_IS_SAME_NAME(a, b) \
	a ".user_id OPERATOR(pg_catalog.=) " b ".user_id" \
	" AND " a ".provider OPERATOR(pg_catalog.=) " b ".provider" \
	" AND " a ".label OPERATOR(pg_catalog.=) " b ".label"

/*
 * For SQL: the names in parameters $2, $3 and $4, as kv_secret_names_pack() makes them,
 * as a table n.
 */
#define KV_NAMES_IN_ARRAYS \
	"ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))" \
	" AS n (user_id, provider, label)"

/* The names as three arrays of text, palloc'd. */
extern void kv_secret_names_pack(const KvSecretName *names, int count, Datum arrays[static 3]);

/* Three parameters for where to go on: *after, or before all names when it is NULL. */
extern void kv_secret_names_after(const KvSecretName *after, Datum values[static 3]);

/*
 * Runs a statement as the owner whose rows are names.  The answer is the length of
 * *names, which is palloc'd.
 */
extern int	kv_secret_names_select(KvStatement *statement, Datum *values,
								   KvSecretName **names);

/* For SQL: where a row is whose table is on another node, so that nobody can be told of it. */
#define KV_NO_TABLE "0::pg_catalog.oid"

/*
 * One of two statements, by whether Citus has the rows; $1 is what the caller gives, $2 to $4
 * are names.
 */
typedef struct KvNamesStatement
{
	KvStatement *local;
	KvStatement *in_shard;		/* for names that are all in one shard */
} KvNamesStatement;

/*
 * Runs a statement as the owner that returns the rows of secrets that it removed, once for
 * each shard.  Calls check for each row, and returns how many they are.
 */
extern uint64 kv_secret_names_delete(const KvNamesStatement *statement, Datum argument,
									 const KvSecretName *names, int count,
									 void (*check) (text *user_id, HeapTuple tuple, TupleDesc columns));

/*
 * The same for one whose rows are places of rows that are still there: table, place, and
 * whether that row is to be counted.  Adds who keeps them, and returns the count.
 */
extern int	kv_secret_names_left(const KvNamesStatement *statement, Datum argument,
								 const KvSecretName *names, int count,
								 KvRowHolders *holders);

#endif							/* KV_SECRET_NAMES_H */
