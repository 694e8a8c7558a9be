/*
 * outcomes.h
 *		What a provider said of a key.
 */
#ifndef KV_OUTCOMES_H
#define KV_OUTCOMES_H

#include "vault/secrets/secret_name.h"

/*
 * Records it with the key that serves, the user's own or the team's.  version is 0 for
 * the current one.  False, and nothing is recorded, when there is none in the database,
 * another version is current, or the .env file's serves.
 *
 * Errors: secret_name.h's; 22004 and 22023 for an outcome or a version that none can be;
 * 25006 where nothing can be written.
 */
extern bool kv_outcome_record(const KvSecretArgs *args, text *outcome, int32 version);

#endif							/* KV_OUTCOMES_H */
