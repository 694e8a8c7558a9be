/*
 * fail_malloc.c
 *		Preloaded into a server: while the file named by KV_FAIL_MALLOC is there, no
 *		memory is given for sizes from KV_FAIL_FROM to KV_FAIL_TO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
is_to_fail(size_t size)
{
	static size_t from = 1;
	static size_t to = 0;
	static char file[1024];

	if (file[0] == '\0')
	{
		const char *name = getenv("KV_FAIL_MALLOC");

		if (name == NULL || strlen(name) >= sizeof(file))
			return 0;
		/* a copy: the server writes its title over its environment */
		strcpy(file, name);
		from = strtoul(getenv("KV_FAIL_FROM"), NULL, 10);
		to = strtoul(getenv("KV_FAIL_TO"), NULL, 10);
	}
	return size >= from && size <= to && access(file, F_OK) == 0;
}

void *
malloc(size_t size)
{
	static void *(*real) (size_t);

	if (real == NULL)
		real = (void *(*) (size_t)) dlsym(RTLD_NEXT, "malloc");
	if (is_to_fail(size))
	{
		errno = ENOMEM;
		return NULL;
	}
	return real(size);
}
