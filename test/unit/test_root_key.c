/*
 * test_root_key.c
 *		Root keys, and the ids that are their fingerprints.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/root_key.h"
#include "tap.h"

static void
the_id_is_what_a_shell_line_computes(void)
{
	static const uint8_t key[KV_ROOT_KEY_LEN] = "0123456789abcdef0123456789abcde\xff";
	char		expected[KV_ROOT_KEY_ID_HEX_LEN + 1] = "";
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	FILE	   *shell;

	shell = popen("{ printf 'key_vault root key v1'; "
				  "printf '%s' MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZf8= | base64 -d; } "
				  "| sha256sum | cut -c1-16", "r");
	require(shell != NULL);
	check(fread(expected, 1, KV_ROOT_KEY_ID_HEX_LEN, shell) == KV_ROOT_KEY_ID_HEX_LEN);
	pclose(shell);

	require(kv_root_key_id(key, id) == KV_OK);
	kv_root_key_id_to_hex(id, hex);
	check(strcmp(hex, expected) == 0);
}

static void
the_id_never_changes(void)
{
	static const uint8_t key[KV_ROOT_KEY_LEN] = {0};
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];
	uint8_t		id[KV_ROOT_KEY_ID_LEN];

	require(kv_root_key_id(key, id) == KV_OK);
	kv_root_key_id_to_hex(id, hex);
	check(strcmp(hex, "2768342077554e95") == 0);
}

static void
random_keys_differ(void)
{
	static const uint8_t zero[KV_ROOT_KEY_LEN] = {0};
	uint8_t		keys[64][KV_ROOT_KEY_LEN] = {{0}};

	for (int i = 0; i < 64; i++)
	{
		require(kv_random_root_key(keys[i]) == KV_OK);
		check(memcmp(keys[i] + 24, zero, 8) != 0);
		for (int j = 0; j < i; j++)
			check(memcmp(keys[i], keys[j], KV_ROOT_KEY_LEN) != 0);
	}
}

static void
ids_are_read_as_they_are_written(void)
{
	static const uint8_t id[KV_ROOT_KEY_ID_LEN] = {0x00, 0x19, 0x9a, 0xaf, 0xfa, 0x0f, 0xf0, 0xff};
	uint8_t		read[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	kv_root_key_id_to_hex(id, hex);
	check(strcmp(hex, "00199aaffa0ff0ff") == 0);
	require(kv_root_key_id_from_hex(hex, strlen(hex), read) == KV_OK);
	check(memcmp(read, id, sizeof(id)) == 0);
}

static void
what_is_not_an_id_is_refused(void)
{
	static const char *const bad[] = {
		"", "0", "00199aaffa0ff0f", "00199aaffa0ff0ff0", "00199AAFFA0FF0FF",
		"00199aaffa0ff0f ", " 0199aaffa0ff0ff", "0x199aaffa0ff0ff", "g0199aaffa0ff0ff",
		"00199aaffa0ff0f/", "00199aaffa0ff0f:", "00199aaffa0ff0f`", "00199aaffa0ff0f\xff"
	};
	static const uint8_t zero[KV_ROOT_KEY_ID_LEN] = {0};
	uint8_t		id[KV_ROOT_KEY_ID_LEN];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		memset(id, 0xaa, sizeof(id));
		check(kv_root_key_id_from_hex(bad[i], strlen(bad[i]), id) == KV_SYNTAX);
		check(memcmp(id, zero, sizeof(id)) == 0);
	}
}

int
main(void)
{
	run(the_id_is_what_a_shell_line_computes);
	run(the_id_never_changes);
	run(random_keys_differ);
	run(ids_are_read_as_they_are_written);
	run(what_is_not_an_id_is_refused);
	return finish();
}
