/*
 * secret_plan.h
 *		The planner's way of reading key_vault_data.secrets, for tables that are
 *		not as shipped.
 */
#ifndef KV_SECRET_PLAN_H
#define KV_SECRET_PLAN_H

#include "store/secret_access.h"
#include "store/secret_range.h"

/*
 * Shows visit the rows of a range that the caller may have, as kv_scan_as_caller()
 * does.  Errors: 42501 without the rights; 0A000 for a policy with a subquery.
 */
extern void kv_plan_read(const KvRange *range, KvColumns columns, KvVisit visit,
						 void *arg);

#endif							/* KV_SECRET_PLAN_H */
