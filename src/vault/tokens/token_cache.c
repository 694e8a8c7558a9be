/*
 * token_cache.c
 *		A table of a fixed size.  No token is in it, only what one hashes to, and whom it
 *		stands for.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "vault/tokens/token_cache.h"

#define ROOM 64

/* All three are parallel; the beginnings of the digests stand together, to be looked through. */
typedef struct Cache
{
	uint64		beginnings[ROOM];
	uint64		used[ROOM];		/* when, by a count of uses; 0: the place is free */
	uint8_t		digests[ROOM][KV_DIGEST_LEN];
	KvCachedToken tokens[ROOM];
} Cache;

static Cache *cache = NULL;
static uint64 uses = 0;

static uint64
beginning_of(const uint8_t *digest)
{
	uint64		beginning;

	memcpy(&beginning, digest, sizeof(beginning));
	return beginning;
}

/* The place of a digest, or -1. */
static int
place_of(const uint8_t *digest)
{
	uint64		beginning = beginning_of(digest);

	for (int i = 0; i < ROOM; i++)
	{
		if (cache->beginnings[i] == beginning && cache->used[i] != 0 &&
			memcmp(cache->digests[i], digest, KV_DIGEST_LEN) == 0)
			return i;
	}
	return -1;
}

static int
least_recently_used(void)
{
	int			place = 0;

	for (int i = 1; i < ROOM; i++)
	{
		if (cache->used[i] < cache->used[place])
			place = i;
	}
	return place;
}

KvCachedToken *
kv_token_cache_find(const uint8_t digest[static KV_DIGEST_LEN])
{
	int			place = cache != NULL ? place_of(digest) : -1;

	if (place < 0)
		return NULL;
	cache->used[place] = ++uses;
	return &cache->tokens[place];
}

void
kv_token_cache_put(const uint8_t digest[static KV_DIGEST_LEN], const KvCachedToken *token)
{
	int			place;

	if (cache == NULL)
		cache = MemoryContextAllocZero(TopMemoryContext, sizeof(Cache));
	place = place_of(digest);
	if (place < 0)
		place = least_recently_used();
	cache->beginnings[place] = beginning_of(digest);
	memcpy(cache->digests[place], digest, KV_DIGEST_LEN);
	cache->tokens[place] = *token;
	cache->used[place] = ++uses;
}
