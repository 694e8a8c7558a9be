/*
 * encoding.c
 *		Converts to UTF-8 and back.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "server/compat.h"
#include "server/encoding.h"

/* NULL when there is a byte that is not ASCII. */
static const char *
if_ascii_only(const char *src, int len, int *converted_len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(src[i]))
			return NULL;
	}
	*converted_len = len;
	return src;
}

/* NULL when a character has no equivalent. */
static const char *
convert(const char *src, int len, int from, int to, int *converted_len)
{
	Oid			procedure;
	Size		size;
	char	   *result;
	int			consumed;

	if (from == to || len == 0)
	{
		*converted_len = len;
		return src;
	}

	procedure = FindDefaultConversionProc(from, to);
	if (!OidIsValid(procedure))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"%s\" to \"%s\" does not exist",
						pg_encoding_to_char(from), pg_encoding_to_char(to))));

	size = (Size) len * MAX_CONVERSION_GROWTH + 1;
	result = palloc(size);
	consumed = pg_do_encoding_conversion_buf(procedure, from, to,
											 (unsigned char *) unconstify(char *, src), len,
											 (unsigned char *) result, size, true);
	if (consumed != len)
	{
		explicit_bzero(result, size);
		pfree(result);
		return NULL;
	}
	*converted_len = strlen(result);
	return result;
}

const char *
kv_try_to_utf8(const char *src, int len, int *converted_len)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return if_ascii_only(src, len, converted_len);
	return convert(src, len, GetDatabaseEncoding(), PG_UTF8, converted_len);
}

const char *
kv_try_from_utf8(const char *src, int len, int *converted_len)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return if_ascii_only(src, len, converted_len);
	return convert(src, len, PG_UTF8, GetDatabaseEncoding(), converted_len);
}

pg_noreturn static void
report_no_equivalent(int encoding)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a database with encoding SQL_ASCII takes ASCII only"),
				 errdetail("Keys, user ids, labels and attributes are sealed as UTF-8, and the encoding of other bytes is not known."),
				 errhint(KV_ENCODING_HINT)));
	ereport(ERROR,
			(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
			 errmsg("a character has no equivalent in encoding \"%s\"",
					pg_encoding_to_char(encoding)),
			 errhint(KV_ENCODING_HINT)));
}

void
kv_report_no_utf8(void)
{
	report_no_equivalent(PG_UTF8);
}

const char *
kv_to_utf8(const char *src, int len, int *converted_len)
{
	const char *converted = kv_try_to_utf8(src, len, converted_len);

	if (converted == NULL)
		kv_report_no_utf8();
	return converted;
}

const char *
kv_from_utf8(const char *src, int len, int *converted_len)
{
	const char *converted = kv_try_from_utf8(src, len, converted_len);

	if (converted == NULL)
		report_no_equivalent(GetDatabaseEncoding());
	return converted;
}
