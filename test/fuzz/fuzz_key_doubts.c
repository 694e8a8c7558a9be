/*
 * fuzz_key_doubts.c
 *		Any bytes are a mask, a document, a ciphertext or none of them, and what is
 *		said of them agrees.
 */
#include <stdint.h>
#include <string.h>

#include "format/ciphertext.h"
#include "format/key_doubts.h"
#include "require.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size > 0 ? size : 1);
	const char *what;
	size_t		start;
	size_t		len;
	size_t		unsendable;

	memcpy(text, data, size);
	len = kv_trimmed(text, size, &start);
	require(start + len <= size);
	unsendable = kv_first_unsendable(text, size);
	require(unsendable <= size);
	if (unsendable < size)
		(void) kv_unsendable_name(text + unsendable, size - unsendable);

	/* White space around makes no difference */
	what = kv_looks_like_ciphertext(text, size);
	require(kv_looks_like_ciphertext(text + start, len) == what);
	require(kv_looks_masked(text + start, len) == kv_looks_masked(text, size));
	require(kv_key_is_structured(text + start, len) == kv_key_is_structured(text, size));
	require(kv_pgp_spelling(text + start, len) == kv_pgp_spelling(text, size));

	if (kv_pgp_spelling(text, size) != KV_PGP_NONE)
		require(what != NULL && strcmp(what, "an OpenPGP message") == 0);
	require(!(kv_key_is_structured(text, size) && what != NULL && strstr(what, "OpenPGP") != NULL));
	free(text);
	return 0;
}
