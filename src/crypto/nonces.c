/*
 * nonces.c
 *		Draws nonces from libcrypto several at a time: to ask its generator for one costs
 *		nearly as much as to seal a key.
 *
 * What lies in store is no secret, for a nonce stands beside what it sealed; but none
 * may be used twice.
 */
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "nonces.h"

#define STORED	64

static uint8_t store[STORED][KV_XAES_NONCE_LEN];
static int	left;				/* in store, the first ones of it */
static pid_t owner;				/* a child that was forked finds its parent's */

KvStatus
kv_nonce_take(uint8_t nonce[static KV_XAES_NONCE_LEN])
{
	pid_t		process = getpid();

	if (left == 0 || owner != process)
	{
		left = 0;
		if (RAND_bytes(&store[0][0], sizeof(store)) != 1)
		{
			ERR_clear_error();
			memset(nonce, 0, KV_XAES_NONCE_LEN);
			return KV_CRYPTO_FAILURE;
		}
		left = STORED;
		owner = process;
	}
	left--;
	memcpy(nonce, store[left], KV_XAES_NONCE_LEN);
	OPENSSL_cleanse(store[left], KV_XAES_NONCE_LEN);
	return KV_OK;
}
