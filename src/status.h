/*
 * status.h
 *		What the pure C of crypto/ and format/ can answer.
 *
 * The only header of ours that those two rooms, and jose/, may include.  server/errors.c
 * turns each code into an ereport; nothing else does.
 */
#ifndef KV_STATUS_H
#define KV_STATUS_H

/* A result that the caller must look at. */
#define KV_MUST_CHECK __attribute__((warn_unused_result))

typedef enum KvStatus
{
	KV_OK = 0,

	/* crypto */
	KV_CRYPTO_FAILURE,			/* libcrypto refused; nothing was produced */
	KV_TAMPERED,				/* the tag does not match */
	KV_MALFORMED,				/* not an envelope of ours: length or format */
	KV_WRONG_ROOT_KEY,			/* sealed with another root key than given */

	/* format */
	KV_TOO_LARGE,				/* more input, or more entries, than allowed */
	KV_SYNTAX,					/* a line that the format does not allow */
	KV_BAD_KEY,					/* a root key that is not base64 of 32 bytes */
	KV_BAD_TIME,				/* a time that is not RFC 3339 */
	KV_ID_MISMATCH,				/* a root key whose id is not its own */
	KV_DUPLICATE,				/* a root key that stands there twice */
	KV_UNREPRESENTABLE,			/* a value that the format cannot spell */
	KV_AMBIGUOUS,				/* what two readers of the format take differently */
	KV_NO_MEMORY				/* malloc failed */
} KvStatus;

#endif							/* KV_STATUS_H */
