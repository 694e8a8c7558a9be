/*
 * status_rows.h
 *		What status() asks the catalogs.
 */
#ifndef KV_STATUS_ROWS_H
#define KV_STATUS_ROWS_H

#include "nodes/pg_list.h"

typedef enum KvStatusQuestion
{
	KV_ASK_SERVICE_ROLES,		/* who may act for any user, half grants */
	KV_ASK_ROLE_SETTINGS,		/* who has key_vault.user_id set */
	KV_ASK_PRIVILEGES,			/* who was granted what no level gives */
	KV_ASK_POLICIES,			/* row-level security other than as installed */
	KV_ASK_TABLES,				/* objects of others' ownership, or lost in a crash */
	KV_ASK_PGCRYPTO,			/* whether a stranger can drop it */
	KV_ASK_TOKEN_ROLES			/* what a role at level user could leave behind in a pool */
} KvStatusQuestion;

/* From good to bad. */
typedef enum KvSeverity
{
	KV_SEVERITY_OK,
	KV_SEVERITY_WARNING,
	KV_SEVERITY_ERROR
} KvSeverity;

/* One thing that was found, all palloc'd. */
typedef struct KvStatusRow
{
	KvSeverity	severity;
	char	   *detail;			/* a clause */
	char	   *remedy;			/* what to type, or NULL */
} KvStatusRow;

/* Asks as the extension's owner: a list of KvStatusRow. */
extern List *kv_status_rows_ask(KvStatusQuestion question);

#endif							/* KV_STATUS_ROWS_H */
