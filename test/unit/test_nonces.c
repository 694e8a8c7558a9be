/*
 * test_nonces.c
 *		No nonce is given out twice, whatever forks.
 */
/* for a generator that fails */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "crypto/nonces.h"
#include "tap.h"

#define MANY	5000

typedef uint8_t Nonce[KV_XAES_NONCE_LEN];

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(Nonce));
}

/* Whether no nonce is there twice; they are sorted. */
static bool
all_differ(Nonce *nonces, size_t count)
{
	qsort(nonces, count, sizeof(Nonce), compare);
	for (size_t i = 1; i < count; i++)
	{
		if (compare(nonces[i - 1], nonces[i]) == 0)
			return false;
	}
	return true;
}

static void
none_comes_twice(void)
{
	static Nonce nonces[MANY];

	/* one, two, three, ... at once, as many as there may be, and then from the start */
	for (size_t i = 0, count = 1; i < MANY; i += count, count = count % KV_NONCES_MAX + 1)
	{
		if (count > MANY - i)
			count = MANY - i;
		require(kv_nonces_take(&nonces[i], count) == KV_OK);
	}
	check(all_differ(nonces, MANY));
	check(kv_nonces_take(nonces, KV_NONCES_MAX + 1) == KV_TOO_LARGE);
}

/* Forks a child that takes nonces, and reads what it got. */
static bool
take_in_child(Nonce *nonces, size_t count)
{
	int			ends[2];
	pid_t		child;
	size_t		got = 0;
	int			status;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		return false;
	if (child == 0)
	{
		bool		taken = true;

		for (size_t i = 0; i < count; i++)
			taken = taken && kv_nonces_take(&nonces[i], 1) == KV_OK;
		taken = taken && write(ends[1], nonces, count * sizeof(Nonce)) == (ssize_t) (count * sizeof(Nonce));
		_exit(taken ? 0 : 1);
	}
	close(ends[1]);
	while (got < count * sizeof(Nonce))
	{
		ssize_t		len = read(ends[0], (char *) nonces + got, count * sizeof(Nonce) - got);

		if (len <= 0)
			break;
		got += (size_t) len;
	}
	close(ends[0]);
	return waitpid(child, &status, 0) == child && status == 0 && got == count * sizeof(Nonce);
}

static void
parents_and_children_differ(void)
{
	static Nonce nonces[3 * 10];

	/* so that there is something in store to be forked with */
	require(kv_nonces_take(&nonces[0], 1) == KV_OK);
	require(take_in_child(nonces, 10));
	require(take_in_child(nonces + 10, 10));
	for (size_t i = 20; i < 30; i++)
		require(kv_nonces_take(&nonces[i], 1) == KV_OK);
	check(all_differ(nonces, 30));
}

static int
no_bytes(unsigned char *bytes, int len)
{
	(void) bytes;
	(void) len;
	return 0;
}

/* Until the store is empty it needs no generator; then there is none, and it says so. */
static void
a_failure_is_told(void)
{
	static const RAND_METHOD failing = {.bytes = no_bytes};
	Nonce		nonce = {0};
	KvStatus	status = KV_OK;

	RAND_set_rand_method(&failing);
	for (size_t i = 0; i < MANY && status == KV_OK; i++)
		status = kv_nonces_take(&nonce, 1);
	check(status == KV_CRYPTO_FAILURE);
	check(kv_nonces_take(&nonce, 1) == KV_CRYPTO_FAILURE);
	RAND_set_rand_method(NULL);
	check(kv_nonces_take(&nonce, 1) == KV_OK);
}

int
main(void)
{
	run(none_comes_twice);
	run(parents_and_children_differ);
	run(a_failure_is_told);
	return finish();
}
