/*
 * quotable.c
 *		Quotes a user's id, unless it may be a key.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "format/key_looks.h"
#include "server/compat.h"
#include "vault/providers/providers.h"
#include "vault/secrets/quotable.h"

#define QUOTED_MAX 20			/* bytes; keys are longer */
#define UUID_QUOTED 8			/* of a UUID, which is a key of some providers: its first part */
#define CUT_TO 4

static bool
may_be_key(const char *name, size_t len)
{
	int			count;
	const KvKeyPrefix *prefixes = kv_provider_prefixes(&count);
	size_t		start;
	size_t		found;

	return kv_looks_mixed(name, len) || kv_find_key(name, len, 0, prefixes, count, &start, &found) ||
		kv_find_jwt(name, len, 0, &start, &found);
}

static char *
cut(const char *name, int len, int max)
{
	return psprintf("%s...", pnstrdup(name, pg_mbcliplen(name, len, max)));
}

char *
kv_quotable_user(const text *user_id)
{
	const char *name = VARDATA_ANY(user_id);
	int			len = VARSIZE_ANY_EXHDR(user_id);

	if (len <= QUOTED_MAX)
		return text_to_cstring(user_id);
	if (kv_looks_like_uuid(name, len))
		return cut(name, len, UUID_QUOTED);
	return may_be_key(name, len) ? cut(name, len, CUT_TO) : text_to_cstring(user_id);
}
