/*
 * pgcrypto.c
 *		Calls pgcrypto, which key_vault does not require: it is looked for when it
 *		is needed, so that whoever drops it takes nothing else away.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/pgcrypto.h"

/* Errors out when it is not there. */
static Oid
pgcrypto_extension(void)
{
	Oid			extension = get_extension_oid("pgcrypto", true);

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("extension \"pgcrypto\" is not installed in this database"),
				 errdetail("key_vault leaves OpenPGP to it."),
				 errhint("Run: CREATE EXTENSION pgcrypto;")));
	return extension;
}

/*
 * Who owns the extension can add functions of their own to it, also under the name
 * of one that is there; but none in C, which takes a superuser.
 */
static bool
is_pgcrypto_own(Form_pg_proc function, Oid extension)
{
	return function->prolang == ClanguageId &&
		getExtensionOfObject(ProcedureRelationId, function->oid) == extension;
}

static bool
takes(Form_pg_proc function, const oidvector *types)
{
	return function->pronargs == types->dim1 &&
		memcmp(function->proargtypes.values, types->values,
			   types->dim1 * sizeof(Oid)) == 0;
}

/* By the catalog, in whatever schema it is: the caller need not have USAGE there. */
static Oid
find_function(const char *name, int nargs, const Oid *types)
{
	Oid			extension = pgcrypto_extension();
	oidvector  *wanted = buildoidvector(types, nargs);
	CatCList   *candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			found = InvalidOid;

	for (int i = 0; i < candidates->n_members && !OidIsValid(found); i++)
	{
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(&candidates->members[i]->tuple);

		if (takes(function, wanted) && is_pgcrypto_own(function, extension))
			found = function->oid;
	}
	ReleaseSysCacheList(candidates);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("extension \"pgcrypto\" has no function \"%s\" of the kind that is needed", name),
				 errhint("Update it: ALTER EXTENSION pgcrypto UPDATE;")));
	return found;
}

text *
kv_pgp_sym_decrypt(bytea *message, text *passphrase)
{
	Oid			types[2] = {BYTEAOID, TEXTOID};

	return DatumGetTextP(OidFunctionCall2(find_function("pgp_sym_decrypt", 2, types),
										  PointerGetDatum(message),
										  PointerGetDatum(passphrase)));
}

bytea *
kv_pgp_pub_encrypt(bytea *plaintext, bytea *public_key)
{
	Oid			types[3] = {BYTEAOID, BYTEAOID, TEXTOID};

	return DatumGetByteaP(OidFunctionCall3(find_function("pgp_pub_encrypt_bytea", 3, types),
										   PointerGetDatum(plaintext),
										   PointerGetDatum(public_key),
										   CStringGetTextDatum("cipher-algo=aes256")));
}

text *
kv_pgp_armor(bytea *message)
{
	Oid			types[1] = {BYTEAOID};

	return DatumGetTextP(OidFunctionCall1(find_function("armor", 1, types),
										  PointerGetDatum(message)));
}

bytea *
kv_pgp_dearmor(text *armored)
{
	Oid			types[1] = {TEXTOID};

	return DatumGetByteaP(OidFunctionCall1(find_function("dearmor", 1, types),
										   PointerGetDatum(armored)));
}
