/*
 * key_checks.h
 *		What is said of a key before it is stored: what is never stored, and what is
 *		odd.  No message quotes the key, nor what may be one.
 */
#ifndef KV_KEY_CHECKS_H
#define KV_KEY_CHECKS_H

#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

#include "vault/secrets/secret_name.h"

/*
 * Hides the running statement's text when the key stands in it, with a WARNING the
 * first time in a session.  For a call's first step: what fails later must not log it.  NULL is allowed.
 */
extern void kv_key_hide_literal(const text *api_key);

/*
 * Errors, 22023, for what is never stored: no bytes or more than KV_API_KEY_MAX, a
 * masked key, and a user id or label that looks like a key beside a key that does not.
 * 22004 for NULL.  what names the key in messages: "API key".
 */
extern void kv_key_refuse(const KvSecretTarget *target, const text *api_key, const char *what);

/* What is odd about the key, each a predicate for "API key ..."; NIL when nothing is. */
extern List *kv_key_oddities(const KvSecretTarget *target, const text *api_key);

/* What a text is that is no key but a ciphertext, a hash or a word for nothing; or NULL. */
extern const char *kv_key_ciphertext(const text *api_key);

/*
 * All of that for what is to be stored: errors, and WARNINGs for what is odd, or errors
 * by the setting key_vault.check_keys.  A WARNING, always, for a key that begins as
 * none of the provider's do.
 */
extern void kv_key_check(const KvSecretTarget *target, const text *api_key, const char *what);

/* What is odd about a key, as sentences for a user: one row each. */
extern void kv_key_inspect(const text *provider, const text *api_key,
						   Tuplestorestate *result, TupleDesc columns);

#endif							/* KV_KEY_CHECKS_H */
