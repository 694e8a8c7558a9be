/*
 * import_row.h
 *		One row of an import.
 */
#ifndef KV_IMPORT_ROW_H
#define KV_IMPORT_ROW_H

#include "store/import_query.h"
#include "vault/moving/imports.h"
#include "vault/secrets/secret_name.h"

/*
 * The row's user and provider as a message may quote them: user "...", provider "...".
 * What may be a key in the wrong column is cut.
 */
extern char *kv_import_row_names(const KvImportRow *row);

/*
 * The key, decrypted when there is a passphrase and it is an OpenPGP message: bytes,
 * or their armor, hex or base64.  Another text than row->key is the caller's to wipe.
 *
 * Errors: pgcrypto's; 22004 for bytes without a passphrase.
 */
extern text *kv_import_row_plaintext(const KvImportRow *row, text *passphrase);

/*
 * Errors, 22023, for what is no key, and, unless options say otherwise, for what is
 * odd; else a WARNING that names the row.
 */
extern void kv_import_row_check(const KvSecretTarget *target, const KvImportRow *row,
								const text *api_key, const KvImportOptions *options);

#endif							/* KV_IMPORT_ROW_H */
