/*
 * fuzz_envelope_open.c
 *		Nothing opens but what was sealed.
 *
 * The input is tried as it is, and as what to change in a good envelope: bytes to
 * XOR with, and how many to cut off.
 */
#include <stdint.h>
#include <string.h>

#include "crypto/envelope.h"
#include "require.h"

#define SECRET_LEN	39
#define SEALED_LEN	(SECRET_LEN + KV_ENVELOPE_OVERHEAD)

static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};
static const KvBinding binding = {
	.user_id = {(const uint8_t *) "user_a", 6},
	.provider = {(const uint8_t *) "gemini", 6},
	.label = {(const uint8_t *) "default", 7},
	.version = 1
};
static KvXaesKey xaes_key;
static uint8_t good[SEALED_LEN];

static void
prepare(void)
{
	static const uint8_t key[KV_XAES_KEY_LEN] = {42};
	static const uint8_t secret[SECRET_LEN] = "sk-test-0123456789abcdefghijklmnopqrst";

	if (good[0] != 0)
		return;
	require(kv_xaes_key_init(&xaes_key, key) == KV_OK);
	require(kv_envelope_seal(&xaes_key, id, &binding, secret, SECRET_LEN, good) == KV_OK);
}

static KvStatus
try_to_open(const uint8_t *sealed, size_t len)
{
	size_t		room = len > KV_ENVELOPE_OVERHEAD ? len - KV_ENVELOPE_OVERHEAD : 0;
	uint8_t    *plaintext = malloc(room);
	uint8_t		sealed_with[KV_ROOT_KEY_ID_LEN];
	KvStatus	status;
	KvStatus	id_status = kv_envelope_root_key_id(sealed, len, sealed_with);

	if (room > 0)
		memset(plaintext, 0xaa, room);
	status = kv_envelope_open(&xaes_key, id, &binding, sealed, len, plaintext);
	require((id_status == KV_MALFORMED) == (status == KV_MALFORMED));
	require(status == KV_OK || status == KV_MALFORMED ||
			status == KV_WRONG_ROOT_KEY || status == KV_TAMPERED);
	if (status != KV_OK)
	{
		for (size_t i = 0; i < room; i++)
			require(plaintext[i] == 0);
	}
	free(plaintext);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t		changed[SEALED_LEN];
	size_t		len = SEALED_LEN;

	prepare();
	require(try_to_open(data, size) != KV_OK);

	memcpy(changed, good, SEALED_LEN);
	if (size > 0)
		len -= data[0] % SEALED_LEN;
	for (size_t i = 1; i < size && i <= len; i++)
		changed[i - 1] ^= data[i];
	require((try_to_open(changed, len) == KV_OK) ==
			(len == SEALED_LEN && memcmp(changed, good, SEALED_LEN) == 0));
	return 0;
}
