/*
 * access_rows.h
 *		What the levels of access consist of, granted and revoked.
 */
#ifndef KV_ACCESS_ROWS_H
#define KV_ACCESS_ROWS_H

/* One right of a level, all palloc'd. */
typedef struct KvPrivilege
{
	char	   *level;
	char	   *kind;			/* schema, relation, routine, parameter */
	char	   *object;			/* without schema */
	char	   *privilege;
} KvPrivilege;

/* All levels' rights, read with the caller's rights, in the current context. */
extern uint64 kv_access_rows_load(KvPrivilege **privileges);

/* Whether the role was itself granted the right. */
extern bool kv_access_is_granted(const char *role, const KvPrivilege *privilege);

/* Plain GRANT and REVOKE, with the caller's rights. */
extern void kv_access_grant(const char *role, const KvPrivilege *privilege);
extern void kv_access_revoke(const char *role, const KvPrivilege *privilege);

#endif							/* KV_ACCESS_ROWS_H */
