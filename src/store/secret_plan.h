/*
 * secret_plan.h
 *		The planner's way of reading key_vault_data.secrets, for tables that are
 *		not as shipped.
 */
#ifndef KV_SECRET_PLAN_H
#define KV_SECRET_PLAN_H

#include "executor/tuptable.h"

#include "store/secret_access.h"
#include "store/secret_rows.h"

/* Visits rows, newest first, until visit returns false; in the caller's context. */
typedef bool (*KvReadRow) (TupleTableSlot *slot, void *arg);

/* Those of a name. */
extern void kv_plan_read_name(const KvSecretName *name, KvColumns columns,
							  KvReadRow visit, void *arg);

/* That of one version. */
extern void kv_plan_read_version(const KvSecretName *name, int32 version,
								 KvColumns columns, KvReadRow visit, void *arg);

/* Those of a user, by provider and label, the last ones first. */
extern void kv_plan_read_user(text *user_id, KvColumns columns,
							  KvReadRow visit, void *arg);

/* The same under one label. */
extern void kv_plan_read_user_label(text *user_id, text *label, KvColumns columns,
									KvReadRow visit, void *arg);

#endif							/* KV_SECRET_PLAN_H */
