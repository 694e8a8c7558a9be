/*
 * audit_writes.h
 *		Adds records to key_vault_data.audit without a planner or an executor.
 */
#ifndef KV_AUDIT_WRITES_H
#define KV_AUDIT_WRITES_H

#include "store/audit_rows.h"

/* Registers the callback that drops what is cached; once a process. */
extern void kv_audit_writes_init(void);

/* Adds records, as INSERT does; false, and nothing is added, when only a statement can. */
extern bool kv_audit_rows_insert_straight(const KvAuditRow *rows, int count);

#endif							/* KV_AUDIT_WRITES_H */
