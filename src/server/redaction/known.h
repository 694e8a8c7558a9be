/*
 * known.h
 *		What must not stand in an entry of the log, as far as it is known when the entry
 *		is written.
 */
#ifndef KV_REDACTION_KNOWN_H
#define KV_REDACTION_KNOWN_H

#include "nodes/params.h"

#include "format/known_values.h"

#define KV_ENTRY_FIELDS 7

/*
 * The secrets that the running statement has passed to key_vault and that stand in the
 * texts, some of which may be NULL; all of them without texts.  NULL when there are none.
 * The result is good until the next call of this or the other function.
 */
extern const KvKnownValues *kv_known_secrets(const char *const texts[KV_ENTRY_FIELDS]);

/*
 * And those of the statement's literals and bound parameters, any of which may be a
 * secret.  So may the row that COPY is at, which context quotes; NULL will do.
 * *too_many: there are more.
 */
extern const KvKnownValues *kv_known_arguments(const char *const texts[KV_ENTRY_FIELDS],
											   const char *context, bool *too_many);

/*
 * Remembers where the bound parameters of the running statement are: its portal has them,
 * and in a parallel worker, which has none, the query that it executes.
 */
extern void kv_known_note_parameters(ParamListInfo params);

#endif							/* KV_REDACTION_KNOWN_H */
