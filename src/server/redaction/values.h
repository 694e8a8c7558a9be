/*
 * values.h
 *		The secrets that the running statement has passed to key_vault.
 */
#ifndef KV_REDACTION_VALUES_H
#define KV_REDACTION_VALUES_H

#include "format/known_values.h"

#define KV_SECRETS_MAX 128		/* kept of one statement: the last ones */

extern void kv_secrets_init(void);

/* Keeps a copy until the statement is over.  False when another had to go for it. */
extern bool kv_secrets_keep(const char *secret, int len);

/* Those of the running statement, in no order; *count may be 0. */
extern const KvKnownValue *kv_secrets_kept(Size *count);

#endif							/* KV_REDACTION_VALUES_H */
