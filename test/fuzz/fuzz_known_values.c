/*
 * fuzz_known_values.c
 *		What is known stands nowhere in a text once it is masked, and a printed tree's
 *		bytes are read without an end.
 */
#include <stdint.h>
#include <string.h>

#include "format/known_values.h"
#include "format/sql_calls.h"
#include "format/tree_text.h"
#include "require.h"

static KvKnownValues known;

static char *
copy_of(const uint8_t *data, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, data, len);
	return copy;
}

/* The first half is the value, the second the text, which the value is put into as well. */
static void
check_masking(const uint8_t *data, size_t size)
{
	size_t		value_len = size / 2;
	char	   *value = copy_of(data, value_len);
	size_t		len = size - value_len;
	char	   *text = malloc(size + value_len + 1);
	KvKnownValue values[] = {{value, value_len}};

	memcpy(text, data + value_len, len);
	memcpy(text + len, value, value_len);
	kv_known_values_index(&known, values, 1);
	len = kv_known_values_hide(&known, text, len + value_len);
	require(len <= size + value_len);
	/* stars may make one with what is beside them */
	if (memchr(value, '*', value_len) == NULL)
		require(!kv_known_values_stand_in(&known, text, len));
	free(value);
	free(text);
}

static void
check_tree(const uint8_t *data, size_t size)
{
	char	   *text = copy_of(data, size);
	char		bytes[16];
	size_t		at = 0;
	size_t		before = 0;
	size_t		count;

	while (kv_tree_next_bytes(text, size, &at, bytes, sizeof(bytes), &count))
	{
		require(count > 0 && count <= sizeof(bytes));
		require(at > before && at <= size);
		before = at;
	}
	(void) kv_sql_binds_secrets(text, size, false);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_masking(data, size);
	check_tree(data, size);
	return 0;
}
