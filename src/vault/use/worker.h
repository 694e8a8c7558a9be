/*
 * worker.h
 *		The background worker that writes when keys of one database were last used.
 */
#ifndef KV_USE_WORKER_H
#define KV_USE_WORKER_H

/*
 * The process's main function, which server/use_workers.c names; the argument is the
 * database's OID.  It leaves when there has been nothing to do for two seconds.
 */
extern PGDLLEXPORT void kv_use_worker_main(Datum database);

#endif							/* KV_USE_WORKER_H */
