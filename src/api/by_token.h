/*
 * by_token.h
 *		One statement that authenticates and takes a key: how it is planned.
 */
#ifndef KV_BY_TOKEN_H
#define KV_BY_TOKEN_H

#include "fmgr.h"

/* Hooks into the planner; once a process. */
extern void kv_by_token_init(void);

/*
 * Whether this call of authenticate() is that of such a statement, which the client itself
 * runs, in no block: so nothing but get() and require() follows before the next statement.
 */
extern bool kv_by_token_is_alone(const FmgrInfo *authenticate);

#endif							/* KV_BY_TOKEN_H */
