/*
 * opening_many.c
 *		Lets libcrypto's memory serve on while one place of a statement opens secret
 *		after secret.
 *
 * What stays in it is the key of the last message, as long as the statement may have
 * that message itself.  A statement that opens one secret leaves nothing.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "crypto/xaes.h"
#include "vault/roots/opening_many.h"

/* Stands in fn_extra after the first call. */
static const char called_once;

static void
end(void *arg)
{
	kv_xaes_end_opening_many();
}

void
kv_opening_many(FmgrInfo *place)
{
	MemoryContextCallback *at_end;

	if (place == NULL)
		return;
	if (place->fn_extra == NULL)
	{
		place->fn_extra = unconstify(char *, &called_once);
		return;
	}
	if (place->fn_extra != &called_once)
		return;

	at_end = MemoryContextAllocZero(place->fn_mcxt, sizeof(*at_end));
	at_end->func = end;
	MemoryContextRegisterResetCallback(place->fn_mcxt, at_end);
	place->fn_extra = at_end;
	kv_xaes_begin_opening_many();
}
