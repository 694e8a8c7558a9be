/*
 * test_wiping.c
 *		No key, and no key schedule, stays in libcrypto's memory.
 *
 * libcrypto allocates from an arena of ours that never gives a byte twice, so what
 * it freed without wiping is still there to be found.  An AES key schedule starts
 * with the key itself.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/aes.h"
#include "crypto/envelope.h"
#include "crypto/nonces.h"
#include "crypto/xaes.h"
#include "tap.h"

#define ARENA_LEN	(16 * 1024 * 1024)

static _Alignas(max_align_t) uint8_t arena[ARENA_LEN];
static size_t arena_used;
static int	allocations_left = -1;	/* until they fail; -1 is for ever */

static void *
arena_malloc(size_t len, const char *file, int line)
{
	size_t	   *block;

	(void) file;
	(void) line;
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	len = (len + 15) / 16 * 16;
	if (len > ARENA_LEN - arena_used - 16)
		return NULL;
	block = (size_t *) (arena + arena_used);
	block[0] = len;
	arena_used += 16 + len;
	return block + 2;
}

static void
arena_free(void *data, const char *file, int line)
{
	(void) data;
	(void) file;
	(void) line;
}

static void *
arena_realloc(void *data, size_t len, const char *file, int line)
{
	size_t		old_len = data != NULL ? ((size_t *) data)[-2] : 0;
	void	   *moved = arena_malloc(len, file, line);

	if (moved != NULL && data != NULL)
		memcpy(moved, data, old_len < len ? old_len : len);
	return moved;
}

static bool
arena_holds(const uint8_t *needle, size_t len)
{
	for (size_t i = 0; i + len <= arena_used; i++)
		if (memcmp(arena + i, needle, len) == 0)
			return true;
	return false;
}

/* The two halves of the key that a nonce derives, computed independently. */
static void
derived_key(const uint8_t *key, const uint8_t *nonce, uint8_t derived[static 32])
{
	EVP_MAC    *cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	OSSL_PARAM	params[] = {
		OSSL_PARAM_construct_utf8_string("cipher", (char *) "AES-256-CBC", 0),
		OSSL_PARAM_construct_end()
	};

	for (uint8_t i = 0; i < 2; i++)
	{
		EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(cmac);
		uint8_t		message[16] = {0, (uint8_t) (i + 1), 'X', 0};
		size_t		len;

		memcpy(message + 4, nonce, 12);
		check(EVP_MAC_init(ctx, key, 32, params) == 1);
		check(EVP_MAC_update(ctx, message, sizeof(message)) == 1);
		check(EVP_MAC_final(ctx, derived + 16 * i, &len, 16) == 1);
		EVP_MAC_CTX_free(ctx);
	}
	EVP_MAC_free(cmac);
}

static void
no_key_stays_behind(void)
{
	static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {1, 2, 3};
	KvBinding	binding = {.user_id = {(const uint8_t *) "user_a", 6}, .version = 1};
	KvXaesKey	xaes_key;
	uint8_t		key[32];
	uint8_t		key_id[KV_ROOT_KEY_ID_LEN];
	uint8_t		derived[32];
	uint8_t		sealed[3][16 + KV_ENVELOPE_OVERHEAD];
	uint8_t		plaintext[16];

	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t) (0x51 * i + 0x3b);
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	check(!arena_holds(key, 16));
	check(kv_root_key_id(key, key_id) == KV_OK);
	check(!arena_holds(key, 16));

	for (int i = 0; i < 3; i++)
	{
		check(kv_envelope_seal(&xaes_key, id, &binding, (const uint8_t *) "a plain text, 16",
							   16, sealed[i]) == KV_OK);
		check(kv_envelope_open(&xaes_key, id, &binding, sealed[i], sizeof(sealed[i]),
							   plaintext) == KV_OK);
		check(!arena_holds((const uint8_t *) "a plain text, 16", 16));

		/* After a failure, too */
		sealed[i][sizeof(sealed[i]) - 1] ^= 1;
		check(kv_envelope_open(&xaes_key, id, &binding, sealed[i], sizeof(sealed[i]),
							   plaintext) == KV_TAMPERED);
		check(!arena_holds(key, 16));
		check(!arena_holds(key + 16, 16));
	}

	for (int i = 0; i < 3; i++)
	{
		/* Computing it wipes what it used, so this finds only what we left */
		derived_key(key, sealed[i] + 1 + KV_ROOT_KEY_ID_LEN, derived);
		check(!arena_holds(derived, 16));
		check(!arena_holds(derived + 16, 16));
	}
}

/* What is opened, or sealed, in a row leaves the last derived key, and that until the end only. */
static void
many_end_with_nothing_left(void)
{
	static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {1, 2, 3};
	KvBinding	binding = {.user_id = {(const uint8_t *) "user_b", 6}, .version = 1};
	KvXaesKey	xaes_key;
	uint8_t		key[32];
	uint8_t		derived[3][32];
	uint8_t		derived_by_seal[32];
	uint8_t		sealed[3][16 + KV_ENVELOPE_OVERHEAD];
	uint8_t		plaintext[16];

	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t) (0x47 * i + 0x1d);
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	for (int i = 0; i < 3; i++)
	{
		require(kv_envelope_seal(&xaes_key, id, &binding, (const uint8_t *) "the plain text 2",
								 16, sealed[i]) == KV_OK);
		derived_key(key, sealed[i] + 1 + KV_ROOT_KEY_ID_LEN, derived[i]);
		check(!arena_holds(derived[i], 16));
	}

	kv_aes_begin_many();
	kv_aes_begin_many();
	for (int i = 0; i < 3; i++)
	{
		check(kv_envelope_open(&xaes_key, id, &binding, sealed[i], sizeof(sealed[i]),
							   plaintext) == KV_OK);
		check(memcmp(plaintext, "the plain text 2", 16) == 0);
		check(arena_holds(derived[i], 16));
		check(i == 0 || !arena_holds(derived[i - 1], 16));
		check(!arena_holds(key, 16));
		check(!arena_holds((const uint8_t *) "the plain text 2", 16));

		/* one that does not open, and a seal, between those that do */
		sealed[i][sizeof(sealed[i]) - 1] ^= 1;
		check(kv_envelope_open(&xaes_key, id, &binding, sealed[i], sizeof(sealed[i]),
							   plaintext) == KV_TAMPERED);
		if (i == 1)
			check(kv_envelope_seal(&xaes_key, id, &binding,
								   (const uint8_t *) "the plain text 2", 16,
								   sealed[0]) == KV_OK);
	}
	kv_aes_end_many();
	check(arena_holds(derived[2], 16));
	kv_aes_end_many();
	derived_key(key, sealed[0] + 1 + KV_ROOT_KEY_ID_LEN, derived_by_seal);
	check(!arena_holds(derived_by_seal, 16) && !arena_holds(derived_by_seal + 16, 16));
	for (int i = 0; i < 3; i++)
		check(!arena_holds(derived[i], 16) && !arena_holds(derived[i] + 16, 16));

	/* and it goes on as before */
	check(kv_envelope_open(&xaes_key, id, &binding, sealed[0], sizeof(sealed[0]),
						   plaintext) == KV_OK);
	check(!arena_holds(key, 16));
}

static bool
all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

typedef KvStatus (*Step) (uint8_t *out);

static const uint8_t some_key[32] = {9};
static KvXaesKey some_xaes_key;

static KvStatus
make_a_key(uint8_t *out)
{
	KvStatus	status = kv_xaes_key_init(&some_xaes_key, some_key);

	memcpy(out, &some_xaes_key, sizeof(some_xaes_key));
	return status;
}

static KvStatus
name_a_root_key(uint8_t *out)
{
	return kv_root_key_id(some_key, out);
}

static KvStatus
seal_a_message(uint8_t *out)
{
	static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {1, 2, 3};
	KvBinding	binding = {.user_id = {(const uint8_t *) "user_a", 6}, .version = 1};

	return kv_envelope_seal(&some_xaes_key, id, &binding, (const uint8_t *) "plain", 5, out);
}

/* Of the specification, because what is sealed here would have made all ready. */
static KvStatus
open_a_message(uint8_t *out)
{
	static const uint8_t sealed[28] = {
		0xce, 0x54, 0x6e, 0xf6, 0x3c, 0x9c, 0xc6, 0x07, 0x65, 0x92, 0x36, 0x09, 0xb3, 0x3a,
		0x9a, 0x19, 0x74, 0xe9, 0x6e, 0x52, 0xda, 0xf2, 0xfc, 0xf7, 0x07, 0x5e, 0x22, 0x71
	};
	KvXaesKey	xaes_key;
	uint8_t		key[32];
	KvStatus	status;

	memset(key, 1, sizeof(key));
	status = kv_xaes_key_init(&xaes_key, key);
	if (status == KV_OK)
		status = kv_xaes_open(&xaes_key, (const uint8_t *) "ABCDEFGHIJKLMNOPQRSTUVWX", NULL, 0,
							  sealed, sizeof(sealed), out);
	else
		memset(out, 0, 12);
	if (status == KV_OK)
		check(memcmp(out, "XAES-256-GCM", 12) == 0);
	return status;
}

/* Makes the first allocation fail, then the second, ... until it all succeeds. */
static void
run_out_in(Step step, size_t out_len)
{
	uint8_t		out[64 + KV_ENVELOPE_OVERHEAD];
	int			failures = 0;

	for (;;)
	{
		KvStatus	status;

		memset(out, 0xaa, sizeof(out));
		allocations_left = failures;
		status = step(out);
		allocations_left = -1;
		check(ERR_peek_error() == 0);
		if (status == KV_OK)
			break;
		require(status == KV_CRYPTO_FAILURE && failures++ < 1000);
		check(all_zero(out, out_len));
	}
	check(failures > 0);
}

/* What is ready once allocates nothing: so each in a process of its own that has not begun. */
static void
run_out_alone(Step step, size_t out_len)
{
	pid_t		child = fork();
	int			status;

	if (child == 0)
	{
		run_out_in(step, out_len);
		_exit(tap_passing ? 0 : 1);
	}
	require(child > 0 && waitpid(child, &status, 0) == child);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
when_memory_runs_out_nothing_is_produced_and_no_error_stays(void)
{
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	uint8_t		nonce[1][KV_XAES_NONCE_LEN];

	run_out_alone(make_a_key, sizeof(some_xaes_key));
	run_out_alone(open_a_message, 12);
	require(kv_xaes_key_init(&some_xaes_key, some_key) == KV_OK);
	run_out_alone(open_a_message, 12);

	/* libcrypto does not get over it in its own first random bytes and first digest */
	require(kv_nonces_take(nonce, 1) == KV_OK);
	run_out_alone(seal_a_message, 5 + KV_ENVELOPE_OVERHEAD);
	require(name_a_root_key(id) == KV_OK);
	run_out_in(name_a_root_key, sizeof(id));
}

static void
once_ready_they_need_no_memory(void)
{
	uint8_t		out[64 + KV_ENVELOPE_OVERHEAD];
	size_t		used;

	require(make_a_key(out) == KV_OK && seal_a_message(out) == KV_OK);
	used = arena_used;
	check(seal_a_message(out) == KV_OK && open_a_message(out) == KV_OK);
	check(arena_used == used);
}

/* Otherwise the test above could not fail. */
static void
the_arena_shows_what_stays(void)
{
	uint8_t		key[32];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t) (0x35 * i + 0x77);
	check(!arena_holds(key, 16));
	check(EVP_EncryptInit_ex2(ctx, EVP_aes_256_ecb(), key, NULL, NULL) == 1);
	check(arena_holds(key, 16));
	EVP_CIPHER_CTX_free(ctx);
	check(!arena_holds(key, 16));
}

int
main(void)
{
	if (CRYPTO_set_mem_functions(arena_malloc, arena_realloc, arena_free) != 1)
	{
		puts("Bail out! libcrypto has allocated already");
		return 1;
	}
	run(the_arena_shows_what_stays);
	run(when_memory_runs_out_nothing_is_produced_and_no_error_stays);
	run(no_key_stays_behind);
	run(many_end_with_nothing_left);
	run(once_ready_they_need_no_memory);
	return finish();
}
