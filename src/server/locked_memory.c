/*
 * locked_memory.c
 *		Memory for root keys, straight from the operating system.
 *
 * What is kept in it is not known here.  palloc has no part in it: a context's
 * blocks are shared with whatever else lives there, and are not wiped when freed.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "server/locked_memory.h"

static bool all_locked = true;

static Size
round_to_pages(Size size)
{
	Size		page = (Size) sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* Pages that are never swapped and stay out of core dumps; NULL when there are none. */
static void *
map(Size length, int sharing)
{
	void	   *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
							  sharing | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mlock(memory, length) != 0)
		all_locked = false;

	/* Advice: where the system does not know it, the memory works all the same. */
#if defined(MADV_DONTDUMP)
	(void) madvise(memory, length, MADV_DONTDUMP);
#elif defined(MADV_NOCORE)
	(void) madvise(memory, length, MADV_NOCORE);
#endif
	return memory;
}

/* What this process locked stays so for its children, which could not lock it all. */
void *
kv_locked_map_shared(Size size)
{
	return map(round_to_pages(size), MAP_SHARED);
}

void *
kv_locked_alloc(Size size)
{
	Size		length = round_to_pages(size);
	void	   *memory = map(length, MAP_PRIVATE);

	if (memory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed to map %zu bytes for root keys.", length)));
#if defined(MADV_WIPEONFORK)
	(void) madvise(memory, length, MADV_WIPEONFORK);
#endif

	return memory;
}

void
kv_locked_free(void *memory, Size size)
{
	Size		length = round_to_pages(size);

	if (memory == NULL)
		return;
	explicit_bzero(memory, length);
	(void) munmap(memory, length);
}

bool
kv_locked_memory_is_locked(void)
{
	return all_locked;
}
