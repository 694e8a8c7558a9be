/*
 * procedure.h
 *		For procedures that commit as they go.
 *
 * Between begin and end, each batch is a transaction of its own.  Nothing runs as
 * the extension's owner while one ends: kv_statement_run_as_owner() is back
 * before it returns, and only then can the next function here be called.
 */
#ifndef KV_PROCEDURE_H
#define KV_PROCEDURE_H

/* The api has checked that the call is not inside a transaction block. */
extern void kv_procedure_begin(void);

/*
 * Commits, and starts a READ COMMITTED transaction, whatever the default is.  The
 * current memory context stays the same one; it must be one that was made or
 * current after kv_procedure_begin().
 */
extern void kv_procedure_commit(void);

extern void kv_procedure_end(void);

#endif							/* KV_PROCEDURE_H */
