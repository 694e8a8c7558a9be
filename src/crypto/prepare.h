/*
 * prepare.h
 *		For a process that forks others, which then find libcrypto ready.
 */
#ifndef KV_PREPARE_H
#define KV_PREPARE_H

/*
 * Gets from libcrypto what this room needs, once.  What fails here fails again, and
 * is reported, where it is needed.
 */
extern void kv_crypto_prepare(void);

#endif							/* KV_PREPARE_H */
