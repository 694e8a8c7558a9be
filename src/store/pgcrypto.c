/*
 * pgcrypto.c
 *		Calls pgcrypto.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/pgcrypto.h"
#include "store/statement.h"

static KvStatement select_schema = {
	"SELECT extnamespace FROM pg_catalog.pg_extension"
	" WHERE extname OPERATOR(pg_catalog.=) 'pgcrypto'",
	0
};

static Oid
pgcrypto_schema(void)
{
	Oid			schema = InvalidOid;
	bool		isnull;

	kv_spi_connect();
	if (kv_statement_run(&select_schema, NULL, NULL, 1) > 0)
		schema = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
												SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("extension \"pgcrypto\" is not installed in this database"),
				 errhint("CREATE EXTENSION pgcrypto;")));
	return schema;
}

/* By the catalog, not by name: the caller need not have USAGE on the schema. */
static Oid
find_function(const char *name, int nargs, const Oid *types)
{
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum(name),
										   PointerGetDatum(buildoidvector(types, nargs)),
										   ObjectIdGetDatum(pgcrypto_schema()));

	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("extension \"pgcrypto\" has no function \"%s\" of the kind that is needed", name),
				 errhint("Update it: ALTER EXTENSION pgcrypto UPDATE;")));
	return function;
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
