/*
 * memory.c
 *		Memory for tokens and keys.
 *
 * This room turns the text of a JWT into claims that an issuer's key has signed.
 * Nothing of the server's comes in: neither its memory, nor its errors, nor its clock.
 */
#include <malloc.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "library.h"
#include "memory.h"

void *
kv_jose_alloc(size_t size)
{
	return malloc(size == 0 ? 1 : size);
}

void
kv_jose_free(void *block)
{
	if (block == NULL)
		return;
	OPENSSL_cleanse(block, malloc_usable_size(block));
	free(block);
}

bool
kv_jose_ready(void)
{
	json_malloc_t allocate;
	json_free_t release;

	json_get_alloc_funcs(&allocate, &release);
	if (allocate == kv_jose_alloc && release == kv_jose_free)
		return true;
	if (allocate != malloc || release != free)
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
