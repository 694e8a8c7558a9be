/*
 * access.h
 *		Who has which level of access.
 */
#ifndef KV_ACCESS_H
#define KV_ACCESS_H

#include "vault/identity/levels.h"

/*
 * Gives a role one level instead of the one it had.  Repeatable.
 *
 * Errors: 42704 for an unknown role; 42501 when the caller may not grant, and for
 * service when the caller is no superuser.
 */
extern void kv_access_set_level(const char *role, KvLevel level);

/* Takes the level away.  Errors as kv_access_set_level(). */
extern void kv_access_take_level(const char *role);

/* Whether the current role may read the inventory: admins and superusers. */
extern bool kv_access_sees_all_users(void);

#endif							/* KV_ACCESS_H */
