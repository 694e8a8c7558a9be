/*
 * status_rows.h
 *		What status() asks the catalogs.
 */
#ifndef KV_STATUS_ROWS_H
#define KV_STATUS_ROWS_H

typedef enum KvStatusQuestion
{
	KV_ASK_LOG_SETTINGS,		/* settings that put statements into the log */
	KV_ASK_SEALED_ROWS,			/* rows whose root key is not registered */
	KV_ASK_SERVICE_ROLES,		/* who may act for any user, half grants */
	KV_ASK_ROLE_SETTINGS,		/* who has key_vault.user_id set */
	KV_ASK_POLICIES,			/* row-level security as shipped */
	KV_ASK_PRELOAD				/* whether sessions load the library at start */
} KvStatusQuestion;

/*
 * Asks as the extension's owner.  NULL when all is well; else what was found,
 * in one palloc'd line.
 */
extern char *kv_status_rows_ask(KvStatusQuestion question);

#endif							/* KV_STATUS_ROWS_H */
