/*
 * secret_table.h
 *		The table key_vault_data.secrets as a relation: its columns, and the
 *		straight way of reading it.  Writing is secret_changes.h's.
 */
#ifndef KV_SECRET_TABLE_H
#define KV_SECRET_TABLE_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "server/compat.h"
#include "store/secret_rows.h"

/* Columns, in the order of the install script. */
#define KV_SECRETS_USER_ID 1
#define KV_SECRETS_PROVIDER 2
#define KV_SECRETS_LABEL 3
#define KV_SECRETS_VERSION 4
#define KV_SECRETS_ROOT_KEY_ID 5
#define KV_SECRETS_SEALED 6
#define KV_SECRETS_HINT 7
#define KV_SECRETS_EXPIRES_AT 8
#define KV_SECRETS_CREATED_AT 9
#define KV_SECRETS_COLUMNS 9

typedef enum KvStraight
{
	KV_STRAIGHT_FOUND,
	KV_STRAIGHT_NONE,			/* no row, or none that the policy admits */
	KV_STRAIGHT_IMPOSSIBLE		/* ask the planner */
} KvStraight;

/* Registers the callbacks that drop what is cached; once a process. */
extern void kv_secret_table_init(void);

/*
 * Reads the current version by one probe of the primary key's index, with a
 * fresh snapshot, the executor's privilege check and the table's own policy.
 */
extern KvStraight kv_secret_table_current(const KvSecretName *name,
										  KvSecretRow *row);

/*
 * The highest version (0: none), as the extension's owner, whom neither privileges
 * nor policies hold back.
 */
extern KvStraight kv_secret_table_highest(const KvSecretName *name, int32 *version);

/* The same of all that is committed by now, whatever the isolation level. */
extern KvStraight kv_secret_table_latest(const KvSecretName *name, int32 *version);

/* The OID of key_vault_data.secrets, from a cache that relcache messages drop. */
extern Oid kv_secret_table_oid(void);

/* Copies the columns of a row into *row, the long ones palloc'd. */
extern void kv_secret_table_unpack(TupleTableSlot *slot, KvSecretRow *row);

/*
 * Runs the table's policies on a row that was written or removed as the owner.
 * command is one of policy.h's.  Errors: 42501 when they do not admit it.
 */
extern void kv_secret_table_check_policy(char command, HeapTuple tuple,
										 TupleDesc columns);

/* Says that they do not. */
pg_noreturn extern void kv_secret_table_refuse(Relation rel);

#endif							/* KV_SECRET_TABLE_H */
