/*
 * audit_bytes.h
 *		Codes of the audit as the columns that they stand in.
 */
#ifndef KV_AUDIT_BYTES_H
#define KV_AUDIT_BYTES_H

#include "server/compat.h"

static inline Datum
kv_audit_bytes_datum(const uint8 *bytes, Size len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

/* Of a bytea of any length: what is there, and zeros. */
static inline bool
kv_audit_copy_bytes(Datum datum, bool isnull, uint8 *bytes, Size len)
{
	bytea	   *value;

	memset(bytes, 0, len);
	if (isnull)
		return false;
	value = DatumGetByteaPP(datum);
	memcpy(bytes, VARDATA_ANY(value), Min(len, VARSIZE_ANY_EXHDR(value)));
	return true;
}

#endif							/* KV_AUDIT_BYTES_H */
