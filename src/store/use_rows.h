/*
 * use_rows.h
 *		What is known of how keys are used: the rows of key_vault_data.last_uses, and what
 *		is shown of key_vault_data.outcomes beside them.
 *
 * All of it runs as the extension's owner, for the user that it names; the identity was
 * checked.
 */
#ifndef KV_USE_ROWS_H
#define KV_USE_ROWS_H

#include "server/use_table.h"
#include "store/secret_rows.h"

/* Of one version of one secret. */
typedef struct KvUse
{
	bool		is_used;		/* else the next two are 0 */
	TimestampTz last_used_at;
	int64		uses;
	text	   *outcome;		/* NULL: nothing is recorded */
	TimestampTz outcome_at;
} KvUse;

/*
 * Adds what was counted of a secret to its row.  Waits for nobody's row: false when
 * somebody keeps it, or the secret, locked.  Nothing is written of a version that is gone.
 */
extern bool kv_use_row_write(const KvCountedUse *counted);

/* All that is known of one user's, or team's, secrets; palloc'd. */
typedef struct KvUses KvUses;

extern const KvUses *kv_uses_read(text *user_id);

/* What of it is of the version that was set then, with what is counted and not yet written. */
extern KvUse kv_uses_of(const KvUses *uses, const text *provider, const text *label,
						int32 version, TimestampTz set_at);

/*
 * Removes all that is known of a secret, or of a user and by it.  Errors: 40001 when some of a
 * user's is newer than the transaction's snapshot.
 */
extern void kv_uses_delete(const KvSecretName *name);
extern void kv_uses_delete_user(text *user_id);

/* Removes what is known of those of the secrets that are gone.  Never waits for a row. */
extern void kv_uses_delete_gone(const KvSecretName *names, int count);

#endif							/* KV_USE_ROWS_H */
