/*
 * background.h
 *		What the background workers of a database have in common.
 */
#ifndef KV_BACKGROUND_H
#define KV_BACKGROUND_H

#include <signal.h>

/*
 * Registers a worker for this database, which is started soon: a function of the library
 * whose argument is the database's OID, and the worker's name.  It is not started again when it
 * ends.  False when no worker can be started now.
 */
extern bool kv_background_start(const char *function, const char *name);

/*
 * For the worker that runs in this process: connects to its database, as the bootstrap
 * superuser, with settings of its own instead of those that were set for the database or for
 * all sessions and would be in its way.  From then on SIGTERM does not end it.
 */
extern void kv_background_connect(Oid database);

/* Whether the worker was told to stop: it writes what is left, and goes. */
extern volatile sig_atomic_t kv_background_stop_requested;

/* Between two batches: is interrupted as any backend, and reads settings anew. */
extern void kv_background_heed(void);

#endif							/* KV_BACKGROUND_H */
