/*
 * secret_indexes.h
 *		The indexes of key_vault_data.secrets, for who inserts without an executor.
 */
#ifndef KV_SECRET_INDEXES_H
#define KV_SECRET_INDEXES_H

#include "nodes/execnodes.h"

/* What the executor would find out about an index for each row. */
typedef struct KvKeptIndex
{
	Oid			oid;
	IndexInfo  *info;
} KvKeptIndex;

/*
 * Whether there are no indexes but the primary key and those, any number of them, that
 * hold what expires, in the shape in which the install script makes one.
 */
extern bool kv_secret_indexes_are_ours(Relation rel);

/*
 * As ExecOpenIndices() and ExecCloseIndices(), for a row that does not expire: when the
 * indexes are ours it is in the primary key and no other.  kept is all zero at first, and
 * what it holds is in context.
 */
extern void kv_secret_indexes_open_primary_key(ResultRelInfo *target, KvKeptIndex *kept,
											   MemoryContext context);
extern void kv_secret_indexes_close_primary_key(ResultRelInfo *target);

#endif							/* KV_SECRET_INDEXES_H */
