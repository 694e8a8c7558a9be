/*
 * setting_rows.h
 *		What settings sessions have: those of roles and databases over the server's.
 *
 * All of it is asked as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_SETTING_ROWS_H
#define KV_SETTING_ROWS_H

#include "nodes/pg_list.h"

/* One setting as a session of a role starts with it, in this database.  palloc'd. */
typedef struct KvSessionSetting
{
	char	   *role;			/* NULL: any role that has no setting of its own */
	char	   *name;
	char	   *value;			/* as it was written, with its unit; NULL: not set anywhere */
} KvSessionSetting;

/*
 * The settings of these names, of each login role that has level user or service, or is
 * a member of one that has; when there is none, those of any role.  In order of role
 * and name.
 */
extern List *kv_session_settings(const char *const *names, int count);

/* A setting of the server, palloc'd. */
typedef struct KvServerSetting
{
	char	   *value;			/* as it is in force */
	char	   *source;			/* as pg_settings.source */
	char	   *pending;		/* what the configuration files say, or NULL */
} KvServerSetting;

extern KvServerSetting kv_server_setting(const char *name);

#endif							/* KV_SETTING_ROWS_H */
