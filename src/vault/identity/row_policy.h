/*
 * row_policy.h
 *		The policy on rows of many users that are written in one statement.
 *
 * Each row is judged while the call acts for the user whose it is.  Errors: 42501
 * when the table's policies do not admit it.
 */
#ifndef KV_ROW_POLICY_H
#define KV_ROW_POLICY_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "store/policy.h"

extern void kv_row_policy_check_update(text *user_id, HeapTuple tuple,
									   TupleDesc columns);
extern void kv_row_policy_check_slot(text *user_id, KvPolicy *policy, Relation rel,
									 TupleTableSlot *slot);
extern void kv_row_policy_check_delete(text *user_id, HeapTuple tuple,
									   TupleDesc columns);

#endif							/* KV_ROW_POLICY_H */
