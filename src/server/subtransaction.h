/*
 * subtransaction.h
 *		Tries something, an error of which is not to end the statement.
 */
#ifndef KV_SUBTRANSACTION_H
#define KV_SUBTRANSACTION_H

/*
 * Calls run(state) in a subtransaction.  NULL, or the error that it ended with, in the
 * caller's memory context: what it wrote is rolled back then, and the caller reports the
 * error or throws it again by ReThrowError().
 */
extern ErrorData *kv_try_in_subtransaction(void (*run) (void *state), void *state);

#endif							/* KV_SUBTRANSACTION_H */
