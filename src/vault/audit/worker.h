/*
 * worker.h
 *		The background worker that writes one database's records.
 */
#ifndef KV_AUDIT_WORKER_H
#define KV_AUDIT_WORKER_H

/*
 * The process's main function, which server/audit_ring.c names; the argument is the
 * database's OID.  It leaves when there has been nothing to do for two seconds.
 */
extern PGDLLEXPORT void kv_audit_worker_main(Datum database);

#endif							/* KV_AUDIT_WORKER_H */
