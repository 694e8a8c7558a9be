/*
 * locked_memory.h
 *		Memory for root keys: whole pages that are never swapped out, stay out of
 *		core dumps, and are all zero in a process that this one forks.
 *
 * Each region costs at least a page and a system call: for key rings and the text
 * that they are read from, not for single secrets.
 */
#ifndef KV_LOCKED_MEMORY_H
#define KV_LOCKED_MEMORY_H

/*
 * Returns size bytes, all zero.  size is at least 1; it is rounded up to whole pages
 * here and in kv_locked_free(), which wants the same size again.
 *
 * The region belongs to no memory context: whoever allocates it frees it on every
 * way out, PG_TRY included.  Errors: 53200 when the system gives no memory.
 */
extern void *kv_locked_alloc(Size size);

/* Wipes a region and gives it back.  NULL is allowed. */
extern void kv_locked_free(void *memory, Size size);

/*
 * The same, but shared with the processes that this one forks from then on; the lock
 * holds for as long as this one lives.  For the life of the server: it is never given
 * back.  NULL when the system gives no memory.
 */
extern void *kv_locked_map_shared(Size size);

/*
 * False when this process, or who forked it, once could not lock a region, most often because of
 * RLIMIT_MEMLOCK.  The region then works, but may reach the swap device.
 */
extern bool kv_locked_memory_is_locked(void);

#endif							/* KV_LOCKED_MEMORY_H */
