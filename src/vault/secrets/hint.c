/*
 * hint.c
 *		Makes the hint of a key.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "server/compat.h"
#include "server/settings.h"
#include "vault/secrets/hint.h"

#define HINT_CHARACTERS 4
#define MIN_CHARACTERS 16

/* As nearly all keys are: a character is a byte then, in every encoding of a database. */
static bool
is_ascii(const char *data, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(data[i]))
			return false;
	}
	return true;
}

text *
kv_hint(const text *api_key)
{
	const char *data = VARDATA_ANY(api_key);
	int			len = VARSIZE_ANY_EXHDR(api_key);
	bool		ascii = is_ascii(data, len);
	int			characters = ascii ? len : pg_mbstrlen_with_len(data, len);
	int			skip;

	if (kv_setting_hint == KV_HINT_NONE || characters < MIN_CHARACTERS)
		return NULL;
	skip = characters - HINT_CHARACTERS;
	if (!ascii)
		skip = pg_mbcharcliplen(data, len, skip);
	return cstring_to_text_with_len(data + skip, len - skip);
}
