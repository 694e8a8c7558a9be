/*
 * secret_scan.h
 *		The straight way of reading key_vault_data.secrets: one scan of the primary
 *		key's index, without a planner or an executor.
 */
#ifndef KV_SECRET_SCAN_H
#define KV_SECRET_SCAN_H

#include "utils/relcache.h"

#include "store/secret_access.h"
#include "store/secret_range.h"

typedef enum KvStraight
{
	KV_STRAIGHT_FOUND,
	KV_STRAIGHT_NONE,
	KV_STRAIGHT_IMPOSSIBLE		/* ask the planner */
} KvStraight;

/*
 * Shows visit the rows of a range that the caller may have: with a fresh snapshot,
 * the executor's check of rights, and the table's own policy on every row.  False,
 * and nothing shown, when it has to be asked of the planner.
 */
extern bool kv_scan_as_caller(const KvRange *range, KvColumns columns,
							  KvVisit visit, void *arg);

/*
 * The highest version (KV_STRAIGHT_NONE: 0), as the extension's owner, whom neither
 * rights nor policies hold back.
 */
extern KvStraight kv_scan_highest(const KvSecretName *name, int32 *version);

/*
 * The same, and what kv_secret_rows_look() says, for who holds the lock for writing; false
 * when it has to be asked of the planner.
 */
extern bool kv_scan_look(const KvSecretName *name, int32 keep, KvSecretLook *look);

/*
 * The same of all that is committed by now, which at REPEATABLE READ and above can
 * be more than the transaction's snapshot shows.
 */
extern KvStraight kv_scan_latest(const KvSecretName *name, int32 *version);

/*
 * For what goes straight already: every row of a range, in the slot of access, with
 * a fresh snapshot.
 */
extern void kv_scan(KvAccess *access, Relation rel, const KvRange *range,
					KvVisit visit, void *arg);

#endif							/* KV_SECRET_SCAN_H */
