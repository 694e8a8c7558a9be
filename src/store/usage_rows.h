/*
 * usage_rows.h
 *		The rows of key_vault_data.usage.
 */
#ifndef KV_USAGE_ROWS_H
#define KV_USAGE_ROWS_H

#define KV_USAGE_MONTH_MAX INT64CONST(1000000000000000) /* 10^15 */
#define KV_COST_DECIMALS 30

/* What is added to a user's month; cost has at most KV_COST_DECIMALS. */
typedef struct KvUsage
{
	text	   *user_id;
	text	   *provider;
	const char *paid_by;		/* user, team, operator */
	text	   *team_id;		/* empty unless a team pays */
	int64		requests;
	int64		tokens;
	Datum		cost;			/* numeric */
} KvUsage;

/*
 * Adds to the row of the current month (UTC), as the extension's owner; the
 * caller acts for the user.
 *
 * Errors: 42501 when the table's policy refuses; 22003 when the month would hold
 * more of anything than KV_USAGE_MONTH_MAX.
 */
extern void kv_usage_row_add(const KvUsage *usage);

/* Removes what is recorded about a user; how many rows. */
extern uint64 kv_usage_rows_delete_user(text *user_id);

#endif							/* KV_USAGE_ROWS_H */
