/*
 * known.h
 *		What must not stand in an entry of the log, as far as it is known when the entry
 *		is written.
 */
#ifndef KV_REDACTION_KNOWN_H
#define KV_REDACTION_KNOWN_H

#include "nodes/params.h"

#include "format/known_values.h"

/*
 * The secrets that the running statement has passed to key_vault.  NULL when there
 * are none.  The result is good until the next call of this or the other function.
 */
extern const KvKnownValues *kv_known_secrets(void);

/*
 * And the literals and the bound parameters of the statement, which carries secrets:
 * any of them may be one.  So may the row that COPY is at, which context quotes; NULL
 * will do.
 */
extern const KvKnownValues *kv_known_arguments(const char *context);

/*
 * Remembers where the bound parameters of the running statement are: its portal has them,
 * and in a parallel worker, which has none, the query that it executes.
 */
extern void kv_known_note_parameters(ParamListInfo params);

#endif							/* KV_REDACTION_KNOWN_H */
