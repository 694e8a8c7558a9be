/*
 * redaction.h
 *		Keeps secrets out of what the server says: its log, pg_stat_activity and
 *		pg_stat_statements.
 */
#ifndef KV_REDACTION_H
#define KV_REDACTION_H

#include "format/key_looks.h"

/* Installs the hooks; once for each process that loads the library. */
extern void kv_redaction_init(void);

/*
 * Notes a secret that the running statement passed to key_vault: from here on, no
 * entry of the log that the statement causes shows it.  True when it stands literally
 * in the statement's text, or in that of a function around the call: the caller
 * warns.
 *
 * A key of fewer than 8 bytes counts only between quotes: it could stand anywhere by
 * chance.
 */
extern bool kv_redaction_note_secret(const char *secret, int len);

/*
 * What the keys of all registered providers begin with, as far as this session knows.  The
 * array stays where it is until the next call.
 */
extern void kv_redaction_look_for(const KvKeyPrefix *prefixes, int count);

/*
 * Whether secrets are taken out of the log from the session's first statement on.
 * Otherwise that one may be in the log already.
 */
extern bool kv_redaction_is_preloaded(void);

#endif							/* KV_REDACTION_H */
