/*
 * access.h
 *		Levels of access: user, service, admin.
 */
#ifndef KV_ACCESS_H
#define KV_ACCESS_H

/*
 * Gives a role one level instead of the one it had.  Repeatable.
 *
 * Errors: 22004, 22023 for a bad level; 42704 for an unknown role; 42501 when
 * the caller may not grant, and for service when the caller is no superuser.
 */
extern void kv_access_set_level(const char *role, const char *level);

/* Takes the level away.  Errors as kv_access_set_level(). */
extern void kv_access_take_level(const char *role);

/*
 * Adds a right to a level, and grants it to the roles that have the whole level:
 * what an update of the extension does for what it brings.
 */
extern void kv_access_extend_level(const char *level, const char *kind,
								   const char *object, const char *privilege);

/* Whether the current role may read the inventory: admins and superusers. */
extern bool kv_access_sees_all_users(void);

#endif							/* KV_ACCESS_H */
