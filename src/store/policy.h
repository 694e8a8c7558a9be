/*
 * policy.h
 *		Runs a table's own row-level security policies on a row in C.
 */
#ifndef KV_POLICY_H
#define KV_POLICY_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct KvPolicy KvPolicy;

/* Whether the table's only policy is one for all commands and all roles. */
extern bool kv_policy_is_single(Relation rel);

/* What is done to the row: pg_policy.polcmd's letters. */
#define KV_POLICY_SELECT 'r'
#define KV_POLICY_INSERT 'a'
#define KV_POLICY_UPDATE 'w'
#define KV_POLICY_DELETE 'd'

/*
 * Prepares the policies that decide for the current user and one command.  The
 * result is a child of parent and good for as long as the table and the user's
 * roles do not change; NULL when row-level security is not enabled on the
 * table.
 *
 * Errors: 0A000 for a policy with a subquery, which only the planner can run.
 */
extern KvPolicy *kv_policy_prepare(Relation rel, char command,
								   MemoryContext parent);

/* Whether the policies let the current user have the row in slot. */
extern bool kv_policy_admits(KvPolicy *policy, TupleTableSlot *slot);

/*
 * A row that SELECT * or RETURNING * gave leaves out the columns that the table has
 * lost, and a policy counts them.  The slot is in the table's own shape.
 */
extern TupleTableSlot *kv_returned_slot(Relation rel);
extern void kv_returned_store(TupleTableSlot *slot, HeapTuple tuple, TupleDesc columns);

/* The same as kv_policy_admits() for such a row. */
extern bool kv_policy_admits_returned(KvPolicy *policy, Relation rel,
									  HeapTuple tuple, TupleDesc columns);

/*
 * Runs the policies of the extension's table of that name on the rows that the last SPI
 * statement returned, by RETURNING *.  Errors: 42501 when they do not admit one.
 */
extern void kv_policy_check_returned(const char *table, char command, uint64 count);

extern void kv_policy_free(KvPolicy *policy);

#endif							/* KV_POLICY_H */
