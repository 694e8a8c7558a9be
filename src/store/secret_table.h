/*
 * secret_table.h
 *		The table key_vault_data.secrets as a relation: which one it is, its shape and
 *		its columns.
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
#define KV_SECRETS_ATTRIBUTES 10
#define KV_SECRETS_COLUMNS 10

/* Registers the callback that drops what is cached; once a process. */
extern void kv_secret_table_init(void);

/* The OID of key_vault_data.secrets, from a cache that relcache messages drop. */
extern Oid kv_secret_table_oid(void);

/* Copies the columns of a row into *row, the long ones palloc'd. */
extern void kv_secret_table_unpack(TupleTableSlot *slot, KvSecretRow *row);

/*
 * Whether the table is as the install script left it, so that its rows can be read
 * and written without a planner: no partitions, children, rules, triggers, other
 * policies, and the primary key is usable.  rel is locked.
 */
extern bool kv_secret_table_is_as_shipped(Relation rel);

/* Says that the table's policies do not admit a row.  Errors: 42501. */
pg_noreturn extern void kv_secret_table_refuse(Relation rel);

#endif							/* KV_SECRET_TABLE_H */
