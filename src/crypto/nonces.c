/*
 * nonces.c
 *		Draws nonces from libcrypto several at a time: to ask its generator for one costs
 *		nearly as much as to seal a key.
 *
 * What lies in store is no secret, for a nonce stands beside what it sealed; but none
 * may be used twice.
 */
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "nonces.h"

static uint8_t store[KV_NONCES_MAX][KV_XAES_NONCE_LEN];
static size_t left;				/* in store, the first ones of it */
static pid_t owner;				/* a child that was forked finds its parent's */

static bool
fill_store(pid_t process)
{
	left = 0;
	if (RAND_bytes(&store[0][0], sizeof(store)) != 1)
	{
		ERR_clear_error();
		return false;
	}
	left = KV_NONCES_MAX;
	owner = process;
	return true;
}

KvStatus
kv_nonces_take(uint8_t (*nonces)[KV_XAES_NONCE_LEN], size_t count)
{
	pid_t		process = getpid();

	if (count > KV_NONCES_MAX)
		return KV_TOO_LARGE;
	if ((left < count || owner != process) && !fill_store(process))
		return KV_CRYPTO_FAILURE;
	left -= count;
	memcpy(nonces, store[left], count * KV_XAES_NONCE_LEN);
	OPENSSL_cleanse(store[left], count * KV_XAES_NONCE_LEN);
	return KV_OK;
}
