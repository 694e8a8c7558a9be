/*
 * secret_changes.h
 *		The straight way of writing key_vault_data.secrets, for the row of a set and
 *		for the version that it makes superfluous.
 *
 * Both do what the extension's owner may, under the table's policy; the caller has
 * checked the identity and acts for the user.  They leave the rest to SQL: false
 * means that a statement has to do it, be it that the table is not as shipped,
 * that an auditor hooks in, or that somebody else was faster and it has to be
 * found out who.
 */
#ifndef KV_SECRET_CHANGES_H
#define KV_SECRET_CHANGES_H

#include "store/secret_rows.h"

/*
 * For who holds the lock for writing, as kv_secret_settle_as_seen().  Errors: 42501 when
 * the policy does not admit the row; 23514 for a constraint.
 */
extern bool kv_secret_insert_straight(const KvSecretName *name,
									  const KvSecretRow *row);

/* Removes versions up to and including the given one.  Errors: 42501. */
extern bool kv_secret_trim_straight(const KvSecretName *name, int32 version);

/*
 * After storing a version: the same, unless there is a newer one (*overtaken), in
 * one scan.  Not where the transaction has one snapshot.
 */
extern bool kv_secret_settle_straight(const KvSecretName *name, int32 stored,
									  int32 version, bool *overtaken);

/*
 * The same without a scan: removes what look saw.  Only where no transaction has ended
 * since then, so that nobody can have stored a newer one.
 */
extern bool kv_secret_settle_as_seen(const KvSecretLook *look);

#endif							/* KV_SECRET_CHANGES_H */
