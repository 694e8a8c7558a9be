/*
 * escrow.h
 *		A copy of the keyring that only the holder of an OpenPGP key can read.
 */
#ifndef KV_ESCROW_H
#define KV_ESCROW_H

/*
 * The text of the keyring, as it is now, as an armored OpenPGP message to an armored
 * public key.  A WARNING when a root key that this database uses is not in it.
 *
 * Errors: 42501 unless the caller is a superuser; 22023 for a public key that pgcrypto
 * cannot use; F0000 for a keyring that cannot be read; 55000 without pgcrypto.
 */
extern text *kv_escrow_keyring(text *public_key);

#endif							/* KV_ESCROW_H */
