/*
 * status.h
 *		Whether everything is in order, and what to do when it is not.
 */
#ifndef KV_VAULT_STATUS_H
#define KV_VAULT_STATUS_H

#include "funcapi.h"

/* Puts the rows (item, state, detail, remedy) into a function's result. */
extern void kv_status_report(Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_VAULT_STATUS_H */
