/*
 * chain.h
 *		The end of the chain, where the worker puts records.
 *
 * Between transactions the worker knows the last record and its code, and the chain key ready
 * for use.  Nobody else adds records, so what the table says is compared, not believed: a record
 * that was removed at the end leaves a gap.
 */
#ifndef KV_AUDIT_CHAIN_H
#define KV_AUDIT_CHAIN_H

#include "store/audit_rows.h"

/*
 * Puts records behind the last one and stores them.  In a transaction of the worker; what it
 * did counts when kv_audit_chain_committed() says so.
 */
extern void kv_audit_chain_append(KvAuditRow *rows, const bool *without_user, int count);
extern void kv_audit_chain_committed(void);

/* The transaction is gone, and what is known of the end may be wrong. */
extern void kv_audit_chain_lost(void);

/* The last record that was committed. */
extern const KvAuditHead *kv_audit_chain_head(void);

#endif							/* KV_AUDIT_CHAIN_H */
