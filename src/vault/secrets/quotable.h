/*
 * quotable.h
 *		What of a user's id a message may quote.
 */
#ifndef KV_QUOTABLE_H
#define KV_QUOTABLE_H

/*
 * The id, palloc'd; only the beginning of one of more than 20 bytes that looks like a
 * key, or has letters and digits mixed as a key has: arguments or columns in the wrong
 * order make a key of it.
 */
extern char *kv_quotable_user(const text *user_id);

#endif							/* KV_QUOTABLE_H */
