/*
 * checks.h
 *		The items of status(), a function each.
 *
 * None changes anything.  Any may throw: status() then says of that item that it could
 * not be found out.
 */
#ifndef KV_CHECKS_H
#define KV_CHECKS_H

#include "vault/status/finding.h"

/* keys.c */
extern KvFinding kv_check_root_key(void);
extern KvFinding kv_check_keyring(void);
extern KvFinding kv_check_sealed_rows(void);

/* preload.c */
extern KvFinding kv_check_preload(void);

/* Whether a list of libraries to preload, or NULL, names this one. */
extern bool kv_preloads_ours(const char *libraries);

/* surroundings.c */
extern KvFinding kv_check_mode(void);
extern KvFinding kv_check_environment(void);

/* log_settings.c */
extern KvFinding kv_check_log_settings(void);

/* catalogs.c */
extern KvFinding kv_check_service_roles(void);
extern KvFinding kv_check_role_settings(void);
extern KvFinding kv_check_privileges(void);
extern KvFinding kv_check_policies(void);
extern KvFinding kv_check_tables(void);
extern KvFinding kv_check_pgcrypto(void);

/* tokens.c */
extern KvFinding kv_check_issuers(void);
extern KvFinding kv_check_token_roles(void);

/* audit.c */
extern KvFinding kv_check_audit(void);

#endif							/* KV_CHECKS_H */
