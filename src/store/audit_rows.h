/*
 * audit_rows.h
 *		The rows of key_vault_data.audit.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_AUDIT_ROWS_H
#define KV_AUDIT_ROWS_H

#include "datatype/timestamp.h"
#include "utils/tuplestore.h"

#include "store/audit_key_rows.h"

#define KV_AUDIT_HASH_BYTES 16
#define KV_AUDIT_COLUMNS 19

/* A record; absent texts are NULL. */
typedef struct KvAuditRow
{
	int64		number;
	TimestampTz at;
	const char *action;
	const char *outcome;
	const char *user_id;
	const char *team_id;		/* whose key it was, as a user id */
	const char *provider;
	const char *label;
	int32		version;		/* 0: none */
	const char *subject;		/* a root key's id, or a role */
	const char *role;
	const char *application_name;
	const char *client_addr;
	int32		pid;
	TimestampTz backend_start;
	const char *sqlstate;
	bool		has_user_hash;
	uint8		user_hash[KV_AUDIT_HASH_BYTES];
	bool		has_team_hash;
	uint8		team_hash[KV_AUDIT_HASH_BYTES];
	uint8		mac[KV_AUDIT_MAC_BYTES];
} KvAuditRow;

/* The last record, or where the chain goes on after a purge. */
typedef struct KvAuditHead
{
	int64		number;			/* 0: there is none */
	TimestampTz at;
	uint8		mac[KV_AUDIT_MAC_BYTES];	/* all zero then */
} KvAuditHead;

/* Adds records.  What a row's user_id is, is stored. */
extern void kv_audit_rows_insert(const KvAuditRow *rows, int count);

/* The last record; else the checkpoint; else nothing. */
extern void kv_audit_rows_head(KvAuditHead *head);

/* The number of the first record; false when there is none. */
extern bool kv_audit_rows_first(int64 *number);

/* The records after a number, at most limit of them, in order. */
extern int	kv_audit_rows_after(int64 number, int limit, KvAuditRow **rows);

/* One user's records of the last while, the latest first. */
extern void kv_audit_rows_history(text *user_id, const Interval *within, Tuplestorestate *result);

/*
 * Takes the id of a user, or of a team, out of all records.  Errors: 40001 when some are newer than the
 * transaction's snapshot.
 */
extern void kv_audit_rows_forget(text *user_id);

/*
 * How many of the first records are older than a time and can be removed, at most limit:
 * without one that somebody keeps locked, and all behind it.  They are locked; *last is the last of them.
 */
extern int	kv_audit_rows_outdated(TimestampTz before, int limit, KvAuditHead *last);

/* Removes the records up to the checkpoint, which is kept instead. */
extern void kv_audit_rows_remove(const KvAuditCheckpoint *checkpoint);

#endif							/* KV_AUDIT_ROWS_H */
