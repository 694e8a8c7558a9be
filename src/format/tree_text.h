/*
 * tree_text.h
 *		The constants in a tree as the server prints it (debug_print_plan and its like):
 *		`:constvalue 8 [ 32 0 0 0 107 101 121 49 ]`.
 */
#ifndef KV_TREE_TEXT_H
#define KV_TREE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The bytes of the next constant, from the offset *at on: as many as fit, the rest
 * comes with the next call.  False when there is no more.  *at is 0 at first.
 */
extern bool kv_tree_next_bytes(const char *text, size_t len, size_t *at,
							   char *bytes, size_t size, size_t *count);

#endif							/* KV_TREE_TEXT_H */
