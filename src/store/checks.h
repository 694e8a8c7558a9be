/*
 * checks.h
 *		Keeps a table's CHECK constraints prepared from one INSERT to the next.
 *
 * The executor reads them from their text for each statement, which for a row
 * of key_vault.secrets costs more than the rest of the INSERT.
 */
#ifndef KV_CHECKS_H
#define KV_CHECKS_H

#include "utils/relcache.h"

typedef struct KvChecks KvChecks;

/* Hooks into the executor's start; once a process. */
extern void kv_checks_init(void);

/*
 * Prepares the constraints.  The result is a child of parent and good for as
 * long as the table does not change; NULL when one of the constraints calls
 * what does not come with the server, and the executor has to prepare them.
 */
extern KvChecks *kv_checks_prepare(Relation rel, MemoryContext parent);

/*
 * The first statement that starts now runs these instead of its own.  They must
 * not be freed before it ends.  NULL takes back what no statement has taken.
 */
extern void kv_checks_lend(KvChecks *checks);

#endif							/* KV_CHECKS_H */
