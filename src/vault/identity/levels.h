/*
 * levels.h
 *		What each level of access holds.
 */
#ifndef KV_LEVELS_H
#define KV_LEVELS_H

#include "funcapi.h"

#include "store/access_rows.h"

/* One bit each, so that a right can name all levels that hold it. */
typedef enum KvLevel
{
	KV_LEVEL_NONE = 0,
	KV_LEVEL_USER = 1 << 0,
	KV_LEVEL_SERVICE = 1 << 1,
	KV_LEVEL_ADMIN = 1 << 2,
	KV_LEVEL_MONITOR = 1 << 3,
	KV_LEVEL_AUDITOR = 1 << 4
} KvLevel;

/* A sentence for hints. */
#define KV_LEVELS_HINT "The levels are user, service, admin, monitor and auditor."

/* The level of that name; 22023 when there is none, without quoting the name. */
extern KvLevel kv_level_by_name(const char *name);

/* The rights of all levels, by number from 0; NULL after the last one. */
extern const KvRight *kv_level_right(int number);

/* Whether the level holds the right of that number. */
extern bool kv_level_holds(KvLevel level, int number);

/* Puts the rows (privilege, levels) into a function's result. */
extern void kv_levels_report(Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_LEVELS_H */
