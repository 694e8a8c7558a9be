/*
 * shard_views.h
 *		What the views show while Citus has the rows of secrets and usage.
 */
#ifndef KV_SHARD_VIEWS_H
#define KV_SHARD_VIEWS_H

#include "utils/tuplestore.h"

/*
 * Puts the rows of a view of schema key_vault into a function's result: of the two that
 * users have the identity's rows, and for admins all.
 *
 * Errors: 42501 for who may not read the view; 55000 for the view secrets, whose rows have
 * no other reader than the functions, and when nothing is distributed; 42704 for another view.
 */
extern void kv_shard_view_report(const char *view, Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_SHARD_VIEWS_H */
