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

text *
kv_hint(const text *api_key)
{
	const char *data = VARDATA_ANY(api_key);
	int			len = VARSIZE_ANY_EXHDR(api_key);
	int			characters = pg_mbstrlen_with_len(data, len);
	int			skip;

	if (kv_setting_hint == KV_HINT_NONE || characters < MIN_CHARACTERS)
		return NULL;
	skip = pg_mbcharcliplen(data, len, characters - HINT_CHARACTERS);
	return cstring_to_text_with_len(data + skip, len - skip);
}
