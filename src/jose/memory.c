/*
 * memory.c
 *		Memory for tokens and keys.
 *
 * This room turns the text of a JWT into claims that an issuer's key has signed.
 * Nothing of the server's comes in: neither its memory, nor its errors, nor its clock.
 */
#include <openssl/crypto.h>

#include "library.h"
#include "memory.h"

void *
kv_jose_alloc(size_t size)
{
	return kv_library.malloc(size == 0 ? 1 : size);
}

void
kv_jose_free(void *block)
{
	if (block == NULL)
		return;
	OPENSSL_cleanse(block, kv_library.malloc_usable_size(block));
	kv_library.free(block);
}

bool
kv_jose_ready(void)
{
	json_malloc_t allocate;
	json_free_t release;

	if (!kv_library_load())
		return false;
	json_get_alloc_funcs(&allocate, &release);
	if (allocate == kv_jose_alloc && release == kv_jose_free)
		return true;
	if (allocate != kv_library.malloc || release != kv_library.free)
		return false;
	json_set_alloc_funcs(kv_jose_alloc, kv_jose_free);
	return true;
}

static void
say_nothing(void *misc, const char *file, int line, uint64_t error, const char *format, va_list args)
{
	(void) misc;
	(void) file;
	(void) line;
	(void) error;
	(void) format;
	(void) args;
}

jose_cfg_t *
kv_jose_quiet(void)
{
	static jose_cfg_t *quiet;

	if (quiet == NULL)
	{
		quiet = jose_cfg();
		if (quiet != NULL)
			jose_cfg_set_err_func(quiet, say_nothing, NULL);
	}
	return quiet;
}
