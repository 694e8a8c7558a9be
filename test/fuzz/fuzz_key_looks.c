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

	require(!kv_looks_like_key(text, len, prefixes, count) ||
			(kv_find_key(text, len, 0, prefixes, count, &start, &key_len) && start == 0));
	while (kv_find_key(text, len, at, prefixes, count, &start, &key_len))
	{
		require(start >= at && start < len && key_len > 0 && key_len <= len - start);
		require(kv_looks_like_key(text + start, len - start, prefixes, count));
		at = start + key_len;
	}
}

static void
check_tokens(const char *text, size_t len)
{
	size_t		at = 0;
	size_t		start;
	size_t		jwt_len;

	require(!kv_looks_like_jwt(text, len) ||
			(kv_find_jwt(text, len, 0, &start, &jwt_len) && start == 0));
	while (kv_find_jwt(text, len, at, &start, &jwt_len))
	{
		require(jwt_len >= KV_LOOKS_MIN && start >= at && start < len && jwt_len <= len - start);
		require(kv_looks_like_jwt(text + start, jwt_len));
		at = start + jwt_len;
	}
}

/* Every stretch that is long enough is found, and nothing else. */
static void
check_runs(const char *text, size_t len)
{
	size_t		count = 0;
	size_t		at = 0;
	size_t		end;

	for (size_t i = 0; i < len; i++)
	{
		count = strchr("+-./=_~", text[i]) != NULL ? (text[i] != '\0' ? count + 1 : 0) :
			((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z') ||
			 (text[i] >= 'a' && text[i] <= 'z')) ? count + 1 : 0;
		if (count != KV_LOOKS_MIN)
			continue;
		require(kv_next_long_run(text, len, &at, &end));
		require(at == i + 1 - KV_LOOKS_MIN && end > i);
		at = end;
	}
	require(!kv_next_long_run(text, len, &at, &end));
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
	check_runs(text, len);
	free(text);
	return 0;
}
