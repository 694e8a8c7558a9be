/*
 * finding.h
 *		What an item of status() says.
 */
#ifndef KV_FINDING_H
#define KV_FINDING_H

#include "nodes/pg_list.h"

typedef struct KvFinding
{
	const char *state;			/* ok, warning, error */
	const char *detail;			/* a sentence */
	const char *remedy;			/* what to type, or a sentence; NULL when all is well */
} KvFinding;

extern KvFinding kv_found_ok(const char *detail);
extern KvFinding kv_found_warning(const char *detail, const char *remedy);
extern KvFinding kv_found_error(const char *detail, const char *remedy);

/*
 * One finding of a list of KvStatusRow: as bad as the worst, with all that they say.
 * without is the detail when there are none.
 */
extern KvFinding kv_found_in_rows(const List *rows, const char *without);

#endif							/* KV_FINDING_H */
