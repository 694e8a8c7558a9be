/*
 * onboarding.h
 *		What a user still has to enter.
 */
#ifndef KV_ONBOARDING_H
#define KV_ONBOARDING_H

#include "utils/tuplestore.h"

/*
 * Puts a row (provider, required, configured, source, hint, expires_at,
 * missing) for each provider that is required or has a key.  Opens no secret.
 */
extern void kv_onboarding_report(text *user_id, Tuplestorestate *result,
								 TupleDesc columns);

#endif							/* KV_ONBOARDING_H */
