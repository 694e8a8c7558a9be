/*
 * issuer_document.h
 *		What is known of an issuer, as the bytes that are sealed.
 */
#ifndef KV_ISSUER_DOCUMENT_H
#define KV_ISSUER_DOCUMENT_H

#include "jose/token.h"

/* All texts are UTF-8 and end with a NUL. */
typedef struct KvIssuer
{
	KvTokenRules rules;
	const char *jwks;			/* JSON; a secret where a key of it is symmetric */
	Size		jwks_len;
} KvIssuer;

/* The bytes, palloc'd, for the caller to wipe, and their number. */
extern uint8 *kv_issuer_to_document(const KvIssuer *issuer, Size *len);

/*
 * The issuer again, whose texts are the document's; what is palloc'd is small.  False
 * when the document is none.
 */
extern bool kv_issuer_from_document(const uint8 *document, Size len, KvIssuer *issuer);

#endif							/* KV_ISSUER_DOCUMENT_H */
