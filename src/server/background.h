/*
 * background.h
 *		What the background workers of a database have in common.
 */
#ifndef KV_BACKGROUND_H
#define KV_BACKGROUND_H

/*
 * Registers a worker for this database, which is started soon: a function of the library
 * whose argument is the database's OID, and the worker's name.  It is not started again when it
 * ends.  False when no worker can be started now.
 */
extern bool kv_background_start(const char *function, const char *name);

/*
 * Gives the worker that runs in this process settings of its own: those that could be set for
 * the database or for all sessions, and would be in its way.
 */
extern void kv_background_settings(void);

#endif							/* KV_BACKGROUND_H */
