/*
 * nonces.c
 *		Draws nonces from libcrypto several at a time: to ask its generator for one costs
 *		nearly as much as to seal a key.
 *
 * What lies in store is no secret, for a nonce stands beside what it sealed; but none
 * may be used twice.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "nonces.h"

static uint8_t store[KV_NONCES_MAX][KV_XAES_NONCE_LEN];
static size_t left;				/* in store, the first ones of it */
static bool forks_are_watched;

/* What is in store is the parent's. */
static void
forget_store_in_child(void)
{
	left = 0;
}

/* To ask for the process at each nonce instead would be a call of the system. */
static bool
watch_forks(void)
{
	if (!forks_are_watched)
		forks_are_watched = pthread_atfork(NULL, NULL, forget_store_in_child) == 0;
	return forks_are_watched;
}

static bool
fill_store(void)
{
	left = 0;
	if (!watch_forks())
		return false;
	if (RAND_bytes(&store[0][0], sizeof(store)) != 1)
	{
		ERR_clear_error();
		return false;
	}
	left = KV_NONCES_MAX;
	return true;
}

KvStatus
kv_nonces_take(uint8_t (*nonces)[KV_XAES_NONCE_LEN], size_t count)
{
	if (count > KV_NONCES_MAX)
		return KV_TOO_LARGE;
	if (left < count && !fill_store())
		return KV_CRYPTO_FAILURE;
	left -= count;
	memcpy(nonces, store[left], count * KV_XAES_NONCE_LEN);
	OPENSSL_cleanse(store[left], count * KV_XAES_NONCE_LEN);
	return KV_OK;
}
