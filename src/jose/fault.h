/*
 * fault.h
 *		Why a token is refused, and why a set of keys is.
 */
#ifndef KV_JOSE_FAULT_H
#define KV_JOSE_FAULT_H

typedef enum KvTokenFault
{
	KV_TOKEN_OK = 0,

	/* what is seen before any key is looked at */
	KV_TOKEN_TOO_LONG,			/* more than KV_TOKEN_MAX bytes */
	KV_TOKEN_NOT_COMPACT,		/* not three parts with dots between them */
	KV_TOKEN_ENCRYPTED,			/* five parts, or "enc" in its header: a JWE */
	KV_TOKEN_BASE64URL,			/* a part is not base64url, without padding, canonical */
	KV_TOKEN_HEADER,			/* the header is not one JSON object, or a member has the wrong type */
	KV_TOKEN_CLAIMS,			/* the payload is not one JSON object */
	KV_TOKEN_DUPLICATE,			/* a member stands twice in an object, at any depth */
	KV_TOKEN_TOO_DEEP,			/* JSON nested deeper than KV_JSON_DEPTH_MAX */
	KV_TOKEN_CRITICAL,			/* "crit" in the header */
	KV_TOKEN_UNSIGNED,			/* "alg" is none, in any spelling */
	KV_TOKEN_ALGORITHM,			/* "alg" is none of those that key_vault takes */

	/* the signature */
	KV_TOKEN_UNKNOWN_KEY,		/* the issuer has no key of this id, or for this algorithm */
	KV_TOKEN_KEY_UNNAMED,		/* no key id, and more keys for its algorithm than are tried */
	KV_TOKEN_KEY_ALGORITHM,		/* the key of this id is for another algorithm */
	KV_TOKEN_SIGNATURE,			/* the signature is not that key's */

	/* the claims */
	KV_TOKEN_ISSUER,			/* "iss" is absent, or no text of 1 to KV_TOKEN_ISSUER_MAX bytes */
	KV_TOKEN_AUDIENCE,			/* absent, or none of the issuer's audiences */
	KV_TOKEN_NO_EXPIRY,			/* "exp" is absent */
	KV_TOKEN_NO_ISSUE_TIME,		/* "iat" is absent */
	KV_TOKEN_TIME,				/* a time is no number, or out of the years 1970 to 9999 */
	KV_TOKEN_EXPIRED,
	KV_TOKEN_NOT_YET,			/* "nbf" is ahead */
	KV_TOKEN_ISSUED_AHEAD,		/* "iat" is ahead */
	KV_TOKEN_TOO_OLD,			/* issued longer ago than max_age */
	KV_TOKEN_SUBJECT,			/* the user's claim: absent, no text of 1 to 255 bytes, or `team:...` */
	KV_TOKEN_TEAM,				/* the team's claim: no text of at most 250 bytes, or `team:...` */

	/* not the token's fault */
	KV_TOKEN_NO_MEMORY,
	KV_TOKEN_LIBRARY			/* see kv_jose_ready() */
} KvTokenFault;

typedef enum KvKeySetFault
{
	KV_KEYS_OK = 0,

	/* of the whole set */
	KV_KEYS_TOO_LONG,			/* more than KV_KEY_SET_MAX bytes */
	KV_KEYS_NOT_A_SET,			/* not one JSON object with an array "keys" of objects */
	KV_KEYS_DUPLICATE,			/* a member stands twice in an object, at any depth */
	KV_KEYS_TOO_DEEP,			/* JSON nested deeper than KV_JSON_DEPTH_MAX */
	KV_KEYS_TOO_MANY,			/* more than KV_KEY_SET_MAX_KEYS */
	KV_KEYS_NONE,				/* no key that could verify a signature */
	KV_KEYS_MIXED,				/* symmetric and public keys in one set */

	/* of one key */
	KV_KEYS_SAME_ID,			/* two keys have this id */
	KV_KEYS_ID,					/* "kid" is no text of 1 to KV_KEY_ID_MAX bytes */
	KV_KEYS_TYPE,				/* no "kty", or a member of the wrong type */
	KV_KEYS_PRIVATE,			/* a private key */
	KV_KEYS_ALGORITHM,			/* "alg" is not for a key of this "kty" or "crv" */
	KV_KEYS_VALUE,				/* a number of it is absent, not base64url, or of the wrong length */
	KV_KEYS_SHORT_RSA,			/* RSA with less than KV_KEY_RSA_MIN_BITS, or more than _MAX_BITS */
	KV_KEYS_EXPONENT,			/* RSA with an exponent that is even, 1, or over 4 bytes */
	KV_KEYS_ROCA,				/* RSA of a generator whose keys can be factored (CVE-2017-15361) */
	KV_KEYS_NOT_ON_CURVE,		/* EC whose point is none of the curve's */
	KV_KEYS_SHORT_SECRET,		/* a secret shorter than its hash (RFC 7518 section 3.2) */
	KV_KEYS_LONG_SECRET,		/* a secret over KV_KEY_SECRET_MAX bytes */

	/* not the set's fault */
	KV_KEYS_NO_MEMORY,
	KV_KEYS_LIBRARY				/* see kv_jose_ready() */
} KvKeySetFault;

/*
 * What is the matter, as a sentence for errmsg or errdetail: lower-case start, no full
 * stop, and nothing of what was read.  Static text.
 */
extern const char *kv_token_fault_text(KvTokenFault fault);
extern const char *kv_key_set_fault_text(KvKeySetFault fault);

#endif							/* KV_JOSE_FAULT_H */
