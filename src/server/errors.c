/*
 * errors.c
 *		Words for the status codes of the pure C, and for what callers pass.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "server/compat.h"
#include "server/errors.h"

#define QUOTABLE_LABEL_MAX 20	/* bytes; keys are longer */

const char *
kv_status_text(KvStatus status)
{
	switch (status)
	{
		case KV_OK:
			return "no error";
		case KV_CRYPTO_FAILURE:
			return "the cryptographic library reported a failure";
		case KV_TAMPERED:
			return "its authentication tag does not match";
		case KV_MALFORMED:
			return "it is not in a format that this version knows";
		case KV_WRONG_ROOT_KEY:
			return "it was sealed with another root key";
		case KV_TOO_LARGE:
			return "it is too large";
		case KV_SYNTAX:
			return "the line does not follow the format";
		case KV_BAD_KEY:
			return "the root key is not base64 of 32 bytes";
		case KV_BAD_TIME:
			return "the time is not an RFC 3339 time";
		case KV_ID_MISMATCH:
			return "the id does not belong to the root key";
		case KV_DUPLICATE:
			return "the root key is there twice";
		case KV_UNREPRESENTABLE:
			return "the format has no spelling for the value";
		case KV_AMBIGUOUS:
			return "python-dotenv and npm's dotenv do not read the same";
		case KV_NO_MEMORY:
			return "out of memory";
	}
	return "unknown status";
}

char *
kv_quotable_label(const text *label)
{
	const char *data = VARDATA_ANY(label);
	int			len = VARSIZE_ANY_EXHDR(label);

	if (len <= QUOTABLE_LABEL_MAX)
		return pnstrdup(data, len);
	return psprintf("%s...", pnstrdup(data, pg_mbcliplen(data, len, 4)));
}

void
kv_check_digest(KvStatus status)
{
	if (status != KV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a digest"),
				 errdetail("Reason: %s.", kv_status_text(status))));
}
