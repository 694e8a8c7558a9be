/*
 * secrets.h
 *		The rules for one user's secrets.
 *
 * Each function checks its arguments (secret_name.h), decides for whom the call
 * acts, and leaves the identity as it found it.
 */
#ifndef KV_SECRETS_H
#define KV_SECRETS_H

#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "vault/laptop/dotenv_words.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/serving.h"

/* What set() is told besides the name and the key. */
typedef struct KvSetOptions
{
	bool		has_expiry;
	TimestampTz expires_at;
	bool		has_if_version;
	int32		if_version;
	Jsonb	   *attributes;		/* or NULL */
	const char *what;			/* names the key in messages; NULL: "API key" */
} KvSetOptions;

/* The version stored; 0 when only the .env file was to be changed. */
extern int32 kv_secret_set(const KvSecretArgs *args, text *api_key,
						   const KvSetOptions *options);

/*
 * The row alone: what imports store, who have checked the key (key_checks.h).  The
 * version stored.
 */
extern int32 kv_secret_store(const KvSecretTarget *target, const text *api_key,
							 const KvSetOptions *options);

/* The key that serves, or NULL when there is none or it has expired. */
extern text *kv_secret_get(const KvSecretArgs *args);

/* As kv_secret_get(), but P0002 instead of NULL. */
extern text *kv_secret_require(const KvSecretArgs *args);

/*
 * {"provider": "key", ...}: the current keys with the default label.  One that does
 * not open is null, with a WARNING: it is neither an error for all nor "no key".
 */
extern Jsonb *kv_secret_get_all(text *user_id);

/* "dotenv", "user", "team", or NULL.  *owner is whose key it is, if it is stored. */
extern const char *kv_secret_source(const KvSecretArgs *args, text **owner);

/* Whether there was a secret. */
extern bool kv_secret_delete(const KvSecretArgs *args);

/* How many secrets were removed. */
extern uint64 kv_secret_forget(text *user_id);

/* Makes an older version current as a new one, whose number it returns. */
extern int32 kv_secret_rollback(const KvSecretArgs *args, int32 version);

extern void kv_secret_list(text *user_id, Tuplestorestate *result,
						   TupleDesc columns);
extern void kv_secret_versions(const KvSecretArgs *args,
							   Tuplestorestate *result, TupleDesc columns);

/* The key in a row; a WARNING and NULL for one that cannot be had. */
extern text *kv_secret_open_or_warn(const KvServing *serving);

/* Whether it can be had, with the same WARNING. */
extern bool kv_secret_opens(const KvServing *serving);

/*
 * A variable of the .env file as text, or NULL: it is empty or not set, or why->code is
 * not 0 and says what is in the way.
 */
extern text *kv_secret_try_variable(const char *variable, KvDotenvObstacle *why);

#endif							/* KV_SECRETS_H */
