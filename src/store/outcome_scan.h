/*
 * outcome_scan.h
 *		Reads key_vault_data.outcomes without a planner, which would cost a lookup more than all
 *		else that it does.
 */
#ifndef KV_OUTCOME_SCAN_H
#define KV_OUTCOME_SCAN_H

#include "store/secret_rows.h"

/* Registers the callback that forgets which table it is; once a process. */
extern void kv_outcome_scan_init(void);

/*
 * What was last recorded of a version: *outcome is palloc'd, or NULL.  False, and nothing is
 * known, when the table is not as the install script left it.
 */
extern bool kv_outcome_scan_last(const KvSecretName *name, const KvSecretRow *row, text **outcome,
								 TimestampTz *recorded_at);

#endif							/* KV_OUTCOME_SCAN_H */
