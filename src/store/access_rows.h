/*
 * access_rows.h
 *		What the levels of access consist of, granted and revoked.
 */
#ifndef KV_ACCESS_ROWS_H
#define KV_ACCESS_ROWS_H

#include "nodes/pg_list.h"

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

/* Adds a right to a level; false when the level has it. */
extern bool kv_access_row_insert(const KvPrivilege *privilege);

/* The roles that hold all rights of a level now: palloc'd names. */
extern List *kv_access_roles(const char *level);

/* Plain GRANT and REVOKE, with the caller's rights. */
extern void kv_access_grant(const char *role, const KvPrivilege *privilege);
extern void kv_access_revoke(const char *role, const KvPrivilege *privilege);

#endif							/* KV_ACCESS_ROWS_H */
