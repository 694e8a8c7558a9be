/*
 * lookup.h
 *		A key with all that a call needs besides it, and who pays for the call.
 */
#ifndef KV_LOOKUP_H
#define KV_LOOKUP_H

#include "utils/jsonb.h"

#include "vault/secrets/secret_name.h"

typedef struct KvLookup
{
	text	   *api_key;		/* palloc'd; the caller wipes it */
	const char *source;			/* as kv_secret_source() says it */
	bool		has_version;	/* these two are false for the .env file's */
	bool		has_expiry;
	int32		version;
	TimestampTz expires_at;
	Jsonb	   *attributes;		/* or NULL */
	text	   *outcome;		/* what the provider last said of it, or NULL */
	TimestampTz outcome_at;
} KvLookup;

/*
 * What kv_secret_get() finds; false when it finds nothing.  Errors are the same.
 */
extern bool kv_secret_lookup(const KvSecretArgs *args, KvLookup *found);

#endif							/* KV_LOOKUP_H */
