/*
 * encoding.c
 *		Converts to UTF-8 and back.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "server/encoding.h"

static const char *
check_ascii_only(const char *src, int len, int *converted_len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(src[i]))
			ereport(ERROR,
					(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					 errmsg("a database with encoding SQL_ASCII takes ASCII only"),
					 errdetail("Keys, user ids and labels are sealed as UTF-8, and the encoding of other bytes is not known."),
					 errhint("Use a database with encoding UTF8.")));
	}
	*converted_len = len;
	return src;
}

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
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("a character has no equivalent in encoding \"%s\"",
						pg_encoding_to_char(to)),
				 errhint("Use a database with encoding UTF8.")));
	}
	*converted_len = strlen(result);
	return result;
}

const char *
kv_to_utf8(const char *src, int len, int *converted_len)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return check_ascii_only(src, len, converted_len);
	return convert(src, len, GetDatabaseEncoding(), PG_UTF8, converted_len);
}

const char *
kv_from_utf8(const char *src, int len, int *converted_len)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return check_ascii_only(src, len, converted_len);
	return convert(src, len, PG_UTF8, GetDatabaseEncoding(), converted_len);
}
