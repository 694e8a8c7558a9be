/*
 * usage.h
 *		Who pays for what.
 */
#ifndef KV_USAGE_H
#define KV_USAGE_H

/* Of requests, tokens, and units of cost: 10^12. */
#define KV_USAGE_CALL_MAX INT64CONST(1000000000000)

/*
 * Adds to what a user used of a provider this month.  The operator pays for
 * what is done with a key of the .env file, a team for what is done with its key, the
 * user for all else.
 *
 * Errors: 22004, 22023 for what is no number or below zero; 22003 for more than
 * KV_USAGE_CALL_MAX at once, or than a month can hold; identity.h's and
 * providers.h's.
 */
extern void kv_usage_record(text *user_id, text *provider, int64 requests,
							int64 tokens, Datum cost);

#endif							/* KV_USAGE_H */
