/*
 * row_holders.h
 *		Who keeps rows locked, or has changed them and not ended yet.
 *
 * For telling people, and for waiting without a place in the queue for a row.
 */
#ifndef KV_ROW_HOLDERS_H
#define KV_ROW_HOLDERS_H

#include "storage/itemptr.h"

#define KV_ROW_HOLDERS_MAX 32	/* further ones are left out */

/* Transactions, each once; all zero: none. */
typedef struct KvRowHolders
{
	int			count;
	TransactionId transactions[KV_ROW_HOLDERS_MAX];
} KvRowHolders;

/*
 * Adds who keeps the row at this place of a table; nobody when it is free or
 * gone, or when table is InvalidOid: it is on another node.
 */
extern void kv_row_holders_add(KvRowHolders *holders, Oid table, ItemPointer place);

/* Whether all of them go on. */
extern bool kv_row_holders_go_on(const KvRowHolders *holders);

/* The names of those that go on for a message, palloc'd: "process 12, process 13". */
extern char *kv_row_holders_names(const KvRowHolders *holders);

#endif							/* KV_ROW_HOLDERS_H */
