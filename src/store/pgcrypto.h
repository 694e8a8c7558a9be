/*
 * pgcrypto.h
 *		The functions of the extension pgcrypto, found in whatever schema they are, as
 *		its members, and called by OID: no search_path is asked.
 *
 * Errors are pgcrypto's own, 39000 mostly; 55000 when it is not installed.
 */
#ifndef KV_PGCRYPTO_H
#define KV_PGCRYPTO_H

/* What pgp_sym_encrypt(text) made; palloc'd, the caller wipes it. */
extern text *kv_pgp_sym_decrypt(bytea *message, text *passphrase);

/* Encrypts to the public key (binary) with AES-256; 39000 when it has no usable subkey. */
extern bytea *kv_pgp_pub_encrypt(bytea *plaintext, bytea *public_key);

/* ASCII armor around a message, and the bytes within one. */
extern text *kv_pgp_armor(bytea *message);
extern bytea *kv_pgp_dearmor(text *armored);

#endif							/* KV_PGCRYPTO_H */
