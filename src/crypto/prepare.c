/*
 * prepare.c
 *		Makes libcrypto ready for this room.
 */
#include "prepare.h"
#include "digest.h"
#include "root_key.h"
#include "xaes.h"

void
kv_crypto_prepare(void)
{
	KvStatus	status = kv_xaes_prepare();

	if (status == KV_OK)
		status = kv_root_key_prepare();
	if (status == KV_OK)
		status = kv_digest_prepare();
	(void) status;
}
