/*
 * fuzz_key_set.c
 *		Any bytes are a set of an issuer's keys or a fault, and what is said of its keys agrees.
 */
#include <stdint.h>
#include <string.h>

#include "jose/key_set.h"
#include "require.h"

static void
keys_agree(const KvKeySet *set)
{
	size_t		count = kv_key_set_count(set);

	require(count >= 1 && count + kv_key_set_skipped(set) <= KV_KEY_SET_MAX_KEYS);
	for (size_t i = 0; i < count; i++)
	{
		KvKeyInfo	info = kv_key_set_info(set, i);

		require(info.symmetric == (strcmp(info.type, "oct") == 0));
		require(info.symmetric == (info.algorithm[0] == 'H'));
		require((strcmp(info.type, "EC") == 0) == (info.algorithm[0] == 'E'));
		require(info.symmetric == kv_key_set_info(set, 0).symmetric);
		require(info.id == NULL || (info.id[0] != '\0' && strlen(info.id) <= KV_KEY_ID_MAX));
		for (size_t j = 0; j < i && info.id != NULL; j++)
			require(kv_key_set_info(set, j).id == NULL || strcmp(kv_key_set_info(set, j).id, info.id) != 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *json = malloc(size > 0 ? size : 1);
	KvKeySet   *set;
	size_t		number;
	KvKeySetFault fault;

	memcpy(json, data, size);
	fault = kv_key_set_parse(json, size, &set, &number);
	require((set != NULL) == (fault == KV_KEYS_OK));
	require(number <= KV_KEY_SET_MAX_KEYS && (fault != KV_KEYS_OK || number == 0));
	require(strcmp(kv_key_set_fault_text(fault), "unknown fault") != 0);
	if (set != NULL)
		keys_agree(set);
	kv_key_set_free(set);
	free(json);
	return 0;
}
