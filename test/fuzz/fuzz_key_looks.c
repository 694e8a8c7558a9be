/*
 * fuzz_key_looks.c
 *		What is found stands where it is said to, and looks as it should.
 *
 * The input is prefixes, one a line, an empty line, and the text.
 */
#include <stdint.h>
#include <string.h>

#include "format/key_looks.h"
#include "require.h"

#define PREFIXES_MAX 8

/* Takes the lines before the first empty one; how many bytes those are. */
static size_t
take_prefixes(const char *data, size_t size, KvKeyPrefix prefixes[PREFIXES_MAX], int *count)
{
	size_t		at = 0;

	*count = 0;
	while (*count < PREFIXES_MAX)
	{
		const char *end = memchr(data + at, '\n', size - at);

		if (end == NULL)
			break;
		prefixes[*count].text = data + at;
		prefixes[*count].len = (size_t) (end - (data + at));
		at = (size_t) (end - data) + 1;
		if (prefixes[*count].len == 0)
			break;
		(*count)++;
	}
	return at;
}

static void
check_keys(const char *text, size_t len, const KvKeyPrefix *prefixes, int count)
{
	size_t		at = 0;
	size_t		start;
	size_t		key_len;

	while (kv_find_key(text + at, len - at, prefixes, count, &start, &key_len))
	{
		require(start < len - at && key_len > 0 && key_len <= len - at - start);
		require(kv_looks_like_key(text + at + start, len - at - start, prefixes, count));
		at += start + key_len;
	}
	/* None is left out at the start of a text */
	require(!kv_looks_like_key(text + at, len - at, prefixes, count));
}

static void
check_tokens(const char *text, size_t len)
{
	size_t		at = 0;
	size_t		start;
	size_t		jwt_len;

	while (kv_find_jwt(text + at, len - at, &start, &jwt_len))
	{
		require(jwt_len >= KV_LOOKS_MIN && start < len - at && jwt_len <= len - at - start);
		require(kv_looks_like_jwt(text + at + start, jwt_len));
		at += start + jwt_len;
	}
	require(!kv_looks_like_jwt(text + at, len - at));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KvKeyPrefix prefixes[PREFIXES_MAX];
	int			count;
	size_t		at = take_prefixes((const char *) data, size, prefixes, &count);
	size_t		len = size - at;
	char	   *text = malloc(len > 0 ? len : 1);

	memcpy(text, data + at, len);
	check_keys(text, len, prefixes, count);
	check_tokens(text, len);
	free(text);
	return 0;
}
