/*
 * verify.h
 *		Reading the audit: whether the chain is whole, and who read a user's keys.
 */
#ifndef KV_AUDIT_VERIFY_H
#define KV_AUDIT_VERIFY_H

#include "funcapi.h"
#include "utils/tuplestore.h"

/*
 * Puts a row (number, reason) for the first record from first to last that was changed, removed
 * or put in; none when all are as they were written.  NULL: from the first, to the last.
 *
 * Errors: 22023 for numbers that are none; F0000 when there is no keyring.
 */
extern void kv_audit_verify(const int64 *first, const int64 *last, Tuplestorestate *result,
							TupleDesc columns);

/* Puts the row (number, at, mac) of the last record, if there is one. */
extern void kv_audit_report_head(Tuplestorestate *result, TupleDesc columns);

/* Puts one user's records of the last while.  Errors: identity.h's. */
extern void kv_audit_report_history(text *user_id, const Interval *within, Tuplestorestate *result);

#endif							/* KV_AUDIT_VERIFY_H */
