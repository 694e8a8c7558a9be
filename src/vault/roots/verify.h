/*
 * verify.h
 *		Whether secrets open, of all users.  No key leaves this file.
 *
 * Errors: F0000 when there is no keyring at all.
 */
#ifndef KV_VERIFY_H
#define KV_VERIFY_H

#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

#include "vault/roots/sealing.h"

/*
 * Tries every version of every secret, and puts those that do not open into a
 * function's result: user_id, provider, label, version, root_key_id, reason.
 */
extern void kv_verify_all(Tuplestorestate *result, TupleDesc columns);

/* Secrets that do not open for the same reason. */
typedef struct KvUnsound
{
	KvObstacleKind kind;
	char		root_key_id[KV_ROOT_KEY_ID_HEX + 1];	/* empty when it is of many */
	int64		count;
} KvUnsound;

typedef struct KvSoundness
{
	int64		tried;
	double		estimated;		/* about how many there are, or 0 when all were tried */
	int64		unopened;
	List	   *unsound;		/* of KvUnsound */
} KvSoundness;

/*
 * Tries all secrets when they are few, else a random sample: what it costs does not
 * grow with their number.
 */
extern KvSoundness kv_verify_sample(void);

#endif							/* KV_VERIFY_H */
