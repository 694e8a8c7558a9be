/*
 * role_identity.h
 *		The identity that a role's sessions start with.
 */
#ifndef KV_ROLE_IDENTITY_H
#define KV_ROLE_IDENTITY_H

/*
 * What ALTER ROLE ... SET key_vault.user_id says for the session's user in this database;
 * "" when it says nothing.  Whoever connects can have a session without it (PGOPTIONS).
 * Read once for each user that the session has.
 */
extern const char *kv_role_identity(void);

#endif							/* KV_ROLE_IDENTITY_H */
