/*
 * secret_rows.h
 *		The rows of key_vault_data.secrets, sealed as they are, and the writing of
 *		them.  Reading is secret_reads.h's.
 *
 * Writes run as the extension's owner, and the policy is run on every row that
 * they touch.  The caller has checked the identity and acts for the user
 * (identity.h).  SPI need not be connected.
 */
#ifndef KV_SECRET_ROWS_H
#define KV_SECRET_ROWS_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

#define KV_PROVIDER_MAX 63		/* bytes */
#define KV_LABEL_MAX 63			/* bytes */
#define KV_ROOT_KEY_ID_HEX 16	/* hex digits of a root key id */

/* Which secret, its version apart; no field is NULL. */
typedef struct KvSecretName
{
	text	   *user_id;
	text	   *provider;		/* the registered name, no alias */
	text	   *label;
} KvSecretName;

typedef struct KvSecretRow
{
	int32		version;
	char		root_key_id[KV_ROOT_KEY_ID_HEX + 1];
	bytea	   *sealed;
	text	   *hint;			/* or NULL */
	bool		has_expiry;
	TimestampTz expires_at;
	TimestampTz created_at;		/* of what is read */
	Jsonb	   *attributes;		/* or NULL */
	text	   *provider;		/* only where rows of several are read */
} KvSecretRow;

/*
 * SQL: whether the row of table alias s is of the current version.  A subquery that is
 * run for each row: a join the planner might make by reading all versions there are.
 * What it costs also keeps the planner from looking at each row of the table where an
 * index finds the few that are asked for, however little it knows about them.
 */
#define KV_IS_CURRENT(s) \
	s ".version OPERATOR(pg_catalog.=)" \
	" (SELECT newest.version FROM key_vault_data.secrets newest" \
	" WHERE newest.user_id OPERATOR(pg_catalog.=) " s ".user_id" \
	" AND newest.provider OPERATOR(pg_catalog.=) " s ".provider" \
	" AND newest.label OPERATOR(pg_catalog.=) " s ".label" \
	" ORDER BY newest.version DESC LIMIT 1)"

#define KV_SEEN_MAX 4			/* more old versions are looked for again */

/*
 * What a set saw when it looked for the highest version.  While no transaction has
 * ended since, there is nothing else to see.
 */
typedef struct KvSecretLook
{
	int32		highest;		/* 0: there is none */
	uint64		ended;			/* how many transactions had; 0: look again */
	CommandId	command;		/* of this transaction */
	int			old_count;
	ItemPointerData old[KV_SEEN_MAX];	/* versions that the next one makes superfluous */
} KvSecretLook;

/* What became of an INSERT. */
typedef enum KvInsertResult
{
	KV_INSERTED,
	KV_VERSION_TAKEN			/* by a transaction that committed meanwhile */
} KvInsertResult;

/*
 * Holds off retire_root_key() to the end of the transaction: the active root
 * key that is read after it stays good for sealing.  Errors: 0A000 on a worker of Citus.
 */
extern void kv_secret_rows_lock_for_write(void);

/* The highest version there is, with the newest snapshot; 0 for none. */
extern int32 kv_secret_rows_highest(const KvSecretName *name);

/* The same, and the versions that are more than so many below the next one. */
extern KvSecretLook kv_secret_rows_look(const KvSecretName *name, int32 keep);

/*
 * After the transaction has inserted version stored: removes versions up to and
 * including another one (0: none), which are those that look saw if it saw any.
 * False, and nothing removed, when a higher one than stored was committed meanwhile.
 * If none was, none will be before the transaction ends: whoever stores the next one
 * waits for it.
 */
extern bool kv_secret_rows_settle(const KvSecretName *name, int32 stored,
								  int32 version, const KvSecretLook *look);

/*
 * Keeps others from removing a version to the end of the transaction, once
 * those who are at it have ended; false when it is gone.
 */
extern bool kv_secret_rows_lock_version(const KvSecretName *name,
										int32 version);

/* Errors: 42501 when the table's policy does not admit the row. */
extern KvInsertResult kv_secret_rows_insert(const KvSecretName *name,
											const KvSecretRow *row);

/* Removes versions up to and including the given one. */
extern void kv_secret_rows_delete_through(const KvSecretName *name,
										  int32 version);

/* Removes every version; how many. */
extern uint64 kv_secret_rows_delete(const KvSecretName *name);

/* Removes every secret of a user; how many. */
extern uint64 kv_secret_rows_delete_user(text *user_id);

#endif							/* KV_SECRET_ROWS_H */
