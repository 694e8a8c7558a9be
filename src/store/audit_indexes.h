/*
 * audit_indexes.h
 *		Puts records into the indexes of key_vault_data.audit.
 */
#ifndef KV_AUDIT_INDEXES_H
#define KV_AUDIT_INDEXES_H

#include "executor/tuptable.h"
#include "utils/rel.h"

typedef struct KvAuditIndexes KvAuditIndexes;

/* Opens the indexes of the table; NULL when more than columns decide about one of them. */
extern KvAuditIndexes *kv_audit_indexes_open(Relation rel);

/*
 * Puts rows into all of them.  All the rows are in the table; what they point to lives until the
 * context is reset.
 */
extern void kv_audit_indexes_put(KvAuditIndexes *indexes, Relation rel, TupleTableSlot **slots, int count);

extern void kv_audit_indexes_close(KvAuditIndexes *indexes);

#endif							/* KV_AUDIT_INDEXES_H */
