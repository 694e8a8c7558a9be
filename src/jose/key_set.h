/*
 * key_set.h
 *		The keys of an issuer: a JWK Set (RFC 7517) whose every key verifies signatures of
 *		one algorithm.
 */
#ifndef KV_JOSE_KEY_SET_H
#define KV_JOSE_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"
#include "status.h"

#define KV_KEY_SET_MAX		(128 * 1024)	/* bytes of JSON */
#define KV_KEY_SET_MAX_KEYS	64	/* those that are skipped count, too */

#define KV_KEY_ID_MAX		255		/* bytes of "kid" */
#define KV_KEY_RSA_MIN_BITS	2048
#define KV_KEY_RSA_MAX_BITS	8192
#define KV_KEY_SECRET_MAX	1024	/* bytes; libjose takes no more */

typedef struct KvKeySet KvKeySet;

/* What may be shown of a key.  The texts are the set's; none is a secret. */
typedef struct KvKeyInfo
{
	const char *id;				/* "kid", UTF-8; NULL when it has none */
	const char *algorithm;		/* "RS256", ... */
	const char *type;			/* "RSA", "EC", "oct" */
	bool		symmetric;		/* who verifies with it can sign with it */
} KvKeyInfo;

/*
 * Reads len bytes of JSON: an object with an array "keys".  json need not end with a NUL.
 *
 * Keys that are not for signatures, or for algorithms that key_vault does not know, are
 * skipped, and one other key at least must be left.  Weak, broken and private keys are
 * refused at once, as is a set in which two keys have one id, or which has both secrets
 * and public keys.  key.h says which algorithm a key is for.
 *
 * *number is the key that is meant, from 1 on, and 0 when the fault is the whole set's.
 * *set is the caller's to kv_key_set_free(), and NULL unless it is KV_KEYS_OK.  json is
 * the caller's to wipe when there are secrets in it.
 */
extern KV_MUST_CHECK KvKeySetFault kv_key_set_parse(const char *json, size_t len,
													KvKeySet **set, size_t *number);

/* Wipes and frees; nothing for NULL. */
extern void kv_key_set_free(KvKeySet *set);

/* How many keys can verify, and how many were skipped. */
extern size_t kv_key_set_count(const KvKeySet *set);
extern size_t kv_key_set_skipped(const KvKeySet *set);

/* What may be shown of the index-th key, from 0 on. */
extern KvKeyInfo kv_key_set_info(const KvKeySet *set, size_t index);

#endif							/* KV_JOSE_KEY_SET_H */
