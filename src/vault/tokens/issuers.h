/*
 * issuers.h
 *		The issuers whose tokens make an identity.
 */
#ifndef KV_ISSUERS_H
#define KV_ISSUERS_H

#include "vault/tokens/issuer_document.h"

/* An issuer as this backend has it in memory, opened. */
typedef struct KvTrusted KvTrusted;

/*
 * The issuer of that name, which is UTF-8; NULL when it is none of ours.  Good until the
 * next call of a function of this file.
 *
 * Errors: XX001 when its row does not open; F0000 when its root key is not at hand.
 */
extern const KvTrusted *kv_issuer_find(const char *name, Size len);

/* What its tokens must be like. */
extern const KvTokenRules *kv_issuer_rules(const KvTrusted *issuer);

/* As kv_token_verify(), with the issuer's keys. */
extern KV_MUST_CHECK KvTokenFault kv_issuer_verify(const KvTrusted *issuer, KvToken *token);

/* Grows when what kv_issuer_find() gave may be so no longer. */
extern uint64 kv_issuers_changes(void);

#endif							/* KV_ISSUERS_H */
