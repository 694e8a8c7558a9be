/*
 * index_shape.h
 *		What can be told of the rows of an index by its definition.
 */
#ifndef KV_INDEX_SHAPE_H
#define KV_INDEX_SHAPE_H

#include "access/attnum.h"
#include "utils/relcache.h"

/* Whether an index is of those rows alone in which a column has a value: "WHERE column IS NOT NULL". */
extern bool kv_index_is_where_not_null(Relation index, AttrNumber column);

#endif							/* KV_INDEX_SHAPE_H */
