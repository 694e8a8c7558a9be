/*
 * usage_rows.h
 *		The rows of key_vault_data.usage.
 */
#ifndef KV_USAGE_ROWS_H
#define KV_USAGE_ROWS_H

/* What is added to a user's month. */
typedef struct KvUsage
{
	text	   *user_id;
	text	   *provider;
	const char *paid_by;		/* user, operator */
	int64		requests;
	int64		tokens;
	Datum		cost;			/* numeric */
} KvUsage;

/*
 * Adds to the row of the current month (UTC), as the extension's owner; the
 * caller acts for the user.  Errors: 42501 when the table's policy refuses.
 */
extern void kv_usage_row_add(const KvUsage *usage);

/* Removes what is recorded about a user; how many rows. */
extern uint64 kv_usage_rows_delete_user(text *user_id);

#endif							/* KV_USAGE_ROWS_H */
