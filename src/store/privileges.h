/*
 * privileges.h
 *		Checks what the caller may do with a table, as the executor does.
 */
#ifndef KV_PRIVILEGES_H
#define KV_PRIVILEGES_H

#include "nodes/pg_list.h"

/*
 * range_table is what a statement's would be, permissions what compat.h's
 * kv_permissions_of() made for it.
 *
 * Errors: 42501.
 */
extern void kv_privileges_check(List *range_table, List *permissions);

/*
 * Whether somebody hooks into such checks (an auditor), who is to see each read and
 * each write, as from the executor.
 */
extern bool kv_privileges_are_watched(void);

#endif							/* KV_PRIVILEGES_H */
