/*
 * opening_many.c
 *		Spares libcrypto the wiping of each key while secret after secret is opened, or sealed
 *		anew.
 *
 * What stays in it is the key of the last message, as long as the statement may have
 * that message itself.  A statement that opens one secret leaves nothing.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "crypto/aes.h"
#include "vault/roots/opening_many.h"

/* Stands in fn_extra after the first call. */
static const char called_once;

static void
end(void *arg)
{
	kv_aes_end_many();
}

MemoryContextCallback *
kv_doing_many(MemoryContext context)
{
	MemoryContextCallback *at_end = MemoryContextAllocZero(context, sizeof(*at_end));

	at_end->func = end;
	MemoryContextRegisterResetCallback(context, at_end);
	kv_aes_begin_many();
	return at_end;
}

void
kv_opening_many(FmgrInfo *place)
{
	if (place == NULL)
		return;
	if (place->fn_extra == NULL)
	{
		place->fn_extra = unconstify(char *, &called_once);
		return;
	}
	if (place->fn_extra != &called_once)
		return;
	place->fn_extra = kv_doing_many(place->fn_mcxt);
}
