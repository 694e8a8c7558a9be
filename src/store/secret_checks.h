/*
 * secret_checks.h
 *		For those files of this room that write rows without an executor.
 */
#ifndef KV_SECRET_CHECKS_H
#define KV_SECRET_CHECKS_H

#include "nodes/execnodes.h"

#include "store/secret_access.h"
#include "store/secret_indexes.h"

typedef struct KvRowChecks
{
	bool		possible;
	ExprState **constraints;	/* in the order of the table's descriptor */
	ExprState  *created_at;		/* its default, or NULL */
	TupleTableSlot *slot;		/* for the row that is written */
	EState	   *estate;			/* in which they are evaluated */
	KvKeptIndex primary_key;
} KvRowChecks;

/*
 * As long as access is good.  NULL when a statement has to write the rows: the table has
 * other columns or indexes than ours, or a constraint or a default calls a function of
 * this database.
 */
extern KvRowChecks *kv_row_checks(KvAccess *access, Relation rel);

#endif							/* KV_SECRET_CHECKS_H */
