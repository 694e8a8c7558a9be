/*
 * by_token.h
 *		One statement that authenticates and takes a key: how it is planned.
 */
#ifndef KV_BY_TOKEN_H
#define KV_BY_TOKEN_H

/* Hooks into the planner; once a process. */
extern void kv_by_token_init(void);

#endif							/* KV_BY_TOKEN_H */
