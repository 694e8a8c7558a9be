/*
 * role_identity.c
 *		The SQL that finds the identity that a role's sessions start with.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "store/role_identity.h"
#include "store/statement.h"

static KvStatement select_identity = {
	"SELECT pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') OPERATOR(pg_catalog.+) 1)"
	" FROM pg_catalog.pg_db_role_setting s, LATERAL pg_catalog.unnest(s.setconfig) AS entry"
	" WHERE s.setrole OPERATOR(pg_catalog.=) $1 AND (s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=)"
	" (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))"
	" AND pg_catalog.starts_with(pg_catalog.lower(entry), 'key_vault.user_id=')"
	" ORDER BY s.setdatabase DESC LIMIT 1",
	1, {OIDOID}
};

static Oid	known_user = InvalidOid;
static char *known_identity = NULL;

const char *
kv_role_identity(void)
{
	Oid			user = GetSessionUserId();
	Datum		values[1];
	char	   *identity = NULL;

	if (user == known_user)
		return known_identity;
	values[0] = ObjectIdGetDatum(user);
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_identity, values, NULL, 1) > 0)
		identity = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	known_user = InvalidOid;
	if (known_identity != NULL)
		pfree(known_identity);
	known_identity = NULL;
	known_identity = MemoryContextStrdup(TopMemoryContext, identity != NULL ? identity : "");
	known_user = user;
	SPI_finish();
	return known_identity;
}
