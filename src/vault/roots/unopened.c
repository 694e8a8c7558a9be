/*
 * unopened.c
 *		Which secrets did not open while others were re-sealed: they are told of
 *		once, and not tried again.
 *
 * They may be many, so that only hashes of their names are kept.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/roots/unopened.h"

#define MAX_WARNINGS 1000		/* further ones are only counted */

KvUnopened *
kv_unopened_create(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(uint64);
	control.hcxt = CurrentMemoryContext;
	return hash_create("key_vault secrets that do not open", 128, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static uint64
hash_of_name(const KvRotationRow *row)
{
	const text *parts[] = {row->name.user_id, row->name.provider, row->name.label};
	uint64		hash = (uint32) row->row.version;

	for (int i = 0; i < (int) lengthof(parts); i++)
		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(parts[i]),
								   VARSIZE_ANY_EXHDR(parts[i]), hash);
	return hash;
}

void
kv_unopened_add(KvUnopened *unopened, const KvRotationRow *row, const char *reason)
{
	uint64		hash = hash_of_name(row);

	(void) hash_search(unopened, &hash, HASH_ENTER, NULL);
	if (hash_get_num_entries(unopened) > MAX_WARNINGS)
		return;
	ereport(WARNING,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("secret of user \"%s\" for provider \"%s\", label \"%s\", version %d does not open and is left as it is",
					text_to_cstring(row->name.user_id), text_to_cstring(row->name.provider),
					kv_quotable_label(row->name.label), row->row.version),
			 errdetail("Reason: %s.", reason)));
	if (hash_get_num_entries(unopened) == MAX_WARNINGS)
		ereport(WARNING,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("further secrets that do not open are counted only")));
}

bool
kv_unopened_contains(KvUnopened *unopened, const KvRotationRow *row)
{
	uint64		hash = hash_of_name(row);

	return hash_search(unopened, &hash, HASH_FIND, NULL) != NULL;
}
