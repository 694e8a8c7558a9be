/*
 * entry.h
 *		An entry of the server's log, on its way there.
 */
#ifndef KV_REDACTION_ENTRY_H
#define KV_REDACTION_ENTRY_H

#include "utils/elog.h"

/*
 * Takes secrets out of the entry, which the client gets as well.  Throws nothing:
 * without memory the entry says less.
 */
extern void kv_entry_redact(ErrorData *edata);

#endif							/* KV_REDACTION_ENTRY_H */
