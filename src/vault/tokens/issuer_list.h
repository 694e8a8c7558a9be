/*
 * issuer_list.h
 *		All issuers that there are, and what may be told of them.
 */
#ifndef KV_ISSUER_LIST_H
#define KV_ISSUER_LIST_H

#include "funcapi.h"

#include "store/record_rows.h"
#include "vault/tokens/issuer_document.h"

/*
 * Opens the row of an issuer for as long as look takes; false and why, a clause without a
 * full stop, when it does not open.
 */
extern bool kv_issuer_read(const KvRecordRow *row, const char **why,
						   void (*look) (const char *name, const KvIssuer *issuer, void *arg),
						   void *arg);

/*
 * Puts the rows of the view key_vault.issuers into a function's result; one that does not
 * open has a name and nothing else, and a WARNING.
 */
extern void kv_issuers_report(Tuplestorestate *result, TupleDesc columns);

/*
 * The longest that a revocation must be kept for tokens of any issuer, in microseconds: 0
 * without issuers, and, with a WARNING, the largest number when one does not open.
 */
extern int64 kv_issuers_longest_age(void);

#endif							/* KV_ISSUER_LIST_H */
