/*
 * outcome_rows.h
 *		The rows of key_vault_data.outcomes: what providers said of keys.
 *
 * Each of a key's users has a row of its own for it, so that none waits for what another
 * one keeps locked.  All of it runs as the extension's owner; whoever writes acts for
 * whose key it is.
 */
#ifndef KV_OUTCOME_ROWS_H
#define KV_OUTCOME_ROWS_H

#include "store/secret_rows.h"

typedef struct KvOutcomeRow
{
	KvSecretName name;			/* the user id is that of whose key it is */
	text	   *recorded_by;
	int32		version;
	TimestampTz set_at;			/* when that version was set */
	text	   *outcome;
} KvOutcomeRow;

/*
 * Records what a provider said just now; writes nothing when the same was recorded
 * within the last minute.  Errors: 42501 when the table's policy refuses.
 */
extern void kv_outcome_row_record(const KvOutcomeRow *row);

/* What was last recorded of a version; NULL when nothing was. */
extern text *kv_outcome_row_last(const KvSecretName *name, const KvSecretRow *row,
								 TimestampTz *recorded_at);

/* Removes what is recorded of a secret. */
extern void kv_outcome_rows_delete(const KvSecretName *name);

/*
 * Removes what is recorded of a user's secrets, and by the user of others'.  What another
 * user is writing at that moment stays.
 */
extern void kv_outcome_rows_delete_user(text *user_id);

#endif							/* KV_OUTCOME_ROWS_H */
