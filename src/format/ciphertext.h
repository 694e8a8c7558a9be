/*
 * ciphertext.h
 *		What stands in columns that hold keys, and is none: ciphertexts, hashes,
 *		tokens of vaults, and words for nothing.
 *
 * Nothing here allocates, fails or reads beyond len; any bytes are text.
 */
#ifndef KV_CIPHERTEXT_H
#define KV_CIPHERTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* How the bytes of an OpenPGP message are spelled. */
typedef enum KvPgpSpelling
{
	KV_PGP_NONE,				/* it is no OpenPGP message */
	KV_PGP_ARMOR,				/* RFC 9580, section 6.2 */
	KV_PGP_HEX,					/* perhaps behind \x */
	KV_PGP_BASE64				/* with + and /, perhaps in lines */
} KvPgpSpelling;

/*
 * Whether the text is a message of OpenPGP, and in which spelling.  Of hex and base64
 * the first packet is looked at: one for a passphrase or a public key, with a version
 * and algorithms that RFC 9580 or its predecessors know.
 */
extern KvPgpSpelling kv_pgp_spelling(const char *text, size_t len);

/*
 * What the text is, as a phrase behind "it is": OpenPGP, Fernet (a version, 0x80, and
 * 73 bytes or more), age (its header, or armor), bcrypt and other password hashes, a
 * JWE (RFC 7516, compact), Vault's transit engine (vault:v1:), OpenSSL's enc and
 * CryptoJS (Salted__), AWS KMS, eyaml and Spring; each as it is, in hex or base64.  Or
 * the word null, none, nil, nan or undefined, or only white space.  White space
 * around it does not count.
 *
 * NULL when it is none of these, and so may be a key.
 */
extern const char *kv_looks_like_ciphertext(const char *text, size_t len);

#endif							/* KV_CIPHERTEXT_H */
