/*
 * import_row.c
 *		One row of an import: the key in it, whether it is one, and the row's names.
 *
 * Columns may be in the wrong order, so that any of them may be a key.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "format/ciphertext.h"
#include "format/key_doubts.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/pgcrypto.h"
#include "vault/moving/import_row.h"
#include "vault/secrets/key_checks.h"
#include "vault/secrets/quotable.h"

#define QUOTED_MAX 20			/* bytes of a provider's name: a longer one may be a key */
#define CUT_TO 4

static const char *
quoted_provider(const text *provider)
{
	const char *name = provider != NULL ? text_to_cstring(provider) : "NULL";

	return strlen(name) <= QUOTED_MAX ? name :
		psprintf("%s...", pnstrdup(name, pg_mbcliplen(name, strlen(name), CUT_TO)));
}

char *
kv_import_row_names(const KvImportRow *row)
{
	return psprintf("user \"%s\", provider \"%s\"", row->user_id != NULL ? kv_quotable_user(row->user_id) : "NULL",
					quoted_provider(row->provider));
}

/* The bytes of an OpenPGP message that a text spells. */
static bytea *
message_in(text *key, KvPgpSpelling spelling)
{
	size_t		start;
	size_t		len = kv_trimmed(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), &start);
	const char *data = VARDATA_ANY(key) + start;

	if (spelling == KV_PGP_ARMOR)
		return kv_pgp_dearmor(key);
	if (spelling == KV_PGP_HEX && (data[1] == 'x'))
	{
		data += 2;
		len -= 2;
	}
	return DatumGetByteaPP(DirectFunctionCall2(binary_decode,
											   PointerGetDatum(cstring_to_text_with_len(data, len)),
											   CStringGetTextDatum(spelling == KV_PGP_HEX ? "hex" : "base64")));
}

text *
kv_import_row_plaintext(const KvImportRow *row, text *passphrase)
{
	KvPgpSpelling spelling;

	if (row->encrypted != NULL && passphrase == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("the key is encrypted, and no passphrase was given")));
	if (row->encrypted != NULL)
		return kv_pgp_sym_decrypt(row->encrypted, passphrase);
	if (passphrase == NULL)
		return row->key;
	spelling = kv_pgp_spelling(VARDATA_ANY(row->key), VARSIZE_ANY_EXHDR(row->key));
	if (spelling == KV_PGP_NONE)
		return row->key;
	return kv_pgp_sym_decrypt(message_in(row->key, spelling), passphrase);
}

void
kv_import_row_check(const KvSecretTarget *target, const KvImportRow *row,
					const text *api_key, const KvImportOptions *options)
{
	const char *ciphertext;
	ListCell   *cell;

	kv_key_refuse(target, api_key, "API key");
	ciphertext = kv_key_ciphertext(api_key);
	if (ciphertext != NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("API key is %s", ciphertext),
				 errhint("Have the query decrypt it, or pass the passphrase of pgp_sym_encrypt.")));
	foreach(cell, kv_key_oddities(target, api_key))
	{
		if (options->refuse_odd)
			ereport(ERROR,
					(errcode(KV_ERRCODE_BAD_ARGUMENT),
					 errmsg("API key %s", (char *) lfirst(cell)),
					 errhint("Pass refuse_odd => false to import it as it is.")));
		ereport(WARNING,
				(errmsg("row " UINT64_FORMAT " is odd: %s", row->number, kv_import_row_names(row)),
				 errdetail("API key %s. It is imported as it is.", (char *) lfirst(cell)),
				 errhidestmt(true), errhidecontext(true)));
	}
}
