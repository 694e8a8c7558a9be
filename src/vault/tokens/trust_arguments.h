/*
 * trust_arguments.h
 *		Reads what trust_issuer() is called with.
 */
#ifndef KV_TRUST_ARGUMENTS_H
#define KV_TRUST_ARGUMENTS_H

#include "vault/tokens/issuer_document.h"
#include "vault/tokens/trust.h"

#define KV_ISSUER_NAME_MAX 255	/* bytes, in the database's encoding */

/* From here on, no entry of the log shows the keys.  NULL will do. */
extern void kv_trust_note_secrets(Jsonb *jwks);

/* The issuer's name, in the database's encoding.  Errors: 22004, 22023. */
extern char *kv_trust_issuer_name(const text *issuer);

/*
 * The rest.  jwks of the result is palloc'd, for the caller to wipe.
 *
 * Errors: 22004, 22023; 22021 or 22P05 for what has no UTF-8 form.
 */
extern void kv_trust_read_arguments(const KvTrustArgs *args, KvIssuer *issuer);

#endif							/* KV_TRUST_ARGUMENTS_H */
