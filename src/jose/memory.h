/*
 * memory.h
 *		Memory for tokens and keys: what is freed is wiped.
 */
#ifndef KV_JOSE_MEMORY_H
#define KV_JOSE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/*
 * Loads libjose, and gives jansson an allocator whose free wipes the whole block, by
 * malloc_usable_size().  There is one allocator for the process; blocks that other code
 * got from jansson before are malloc's, and stay valid.  Costs next to nothing when that
 * is done already, so that kv_token_parse() and kv_key_set_parse() ask each time.
 *
 * What libjose allocates for itself it frees as it likes: it wipes secrets and a token's
 * header, and leaves the bytes of an RSA signature, without what they sign.
 *
 * False when libjose is not to be found, or another library of this process has given
 * jansson an allocator of its own, whose blocks are not malloc's: nothing is changed then,
 * and nothing may be parsed.
 */
extern KV_MUST_CHECK bool kv_jose_ready(void);

/*
 * As malloc(), for what kv_jose_free() is to wipe: after kv_jose_ready().  NULL when there
 * is no memory.
 */
extern void *kv_jose_alloc(size_t size);

/* Wipes and frees; nothing for NULL. */
extern void kv_jose_free(void *block);

#endif							/* KV_JOSE_MEMORY_H */
