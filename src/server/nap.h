/*
 * nap.h
 *		Waiting for a moment.
 */
#ifndef KV_NAP_H
#define KV_NAP_H

/*
 * Waits so many milliseconds, or less.
 *
 * Errors: those of a cancelled statement.
 */
extern void kv_nap(int milliseconds);

#endif							/* KV_NAP_H */
