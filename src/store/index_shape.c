/*
 * index_shape.c
 *		Reads the definition of an index.  Which shape a table's indexes have is for who
 *		writes into that table.
 */
#include "postgres.h"

#include "nodes/primnodes.h"
#include "utils/rel.h"

#include "store/index_shape.h"

bool
kv_index_is_where_not_null(Relation index, AttrNumber column)
{
	List	   *predicate = RelationGetIndexPredicate(index);
	NullTest   *test = list_length(predicate) == 1 ? linitial(predicate) : NULL;
	Var		   *tested = test != NULL && IsA(test, NullTest) ? (Var *) test->arg : NULL;

	return tested != NULL && test->nulltesttype == IS_NOT_NULL && IsA(tested, Var) &&
		tested->varattno == column;
}
