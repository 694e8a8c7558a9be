/*
 * access_rows.c
 *		The SQL that grants and revokes levels of access.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "store/access_rows.h"
#include "store/statement.h"

/* How GRANT and the catalogs call a kind. */
static const struct
{
	const char *privilege;
	const char *object;
}			kinds[] =
{
	[KV_RIGHT_SCHEMA] = {"USAGE", "SCHEMA"},
	[KV_RIGHT_RELATION] = {"SELECT", "TABLE"},
	[KV_RIGHT_ROUTINE] = {"EXECUTE", "ROUTINE"},
	[KV_RIGHT_PARAMETER] = {"SET", "PARAMETER"}
};

/* A row for each object: there is one, or none. */
static KvStatement select_state = {
	"SELECT EXISTS (SELECT FROM pg_catalog.aclexplode(acl) AS granted"
	" WHERE granted.grantee OPERATOR(pg_catalog.=) $1"
	" AND granted.privilege_type OPERATOR(pg_catalog.=) $5) FROM ("
	" SELECT nspacl AS acl FROM pg_catalog.pg_namespace"
	" WHERE $2 OPERATOR(pg_catalog.=) 'SCHEMA' AND nspname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" UNION ALL"
	" SELECT c.relacl FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	" WHERE $2 OPERATOR(pg_catalog.=) 'TABLE' AND n.nspname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" AND c.relname OPERATOR(pg_catalog.=) $4::pg_catalog.name"
	" UNION ALL"
	" SELECT p.proacl FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace"
	" WHERE $2 OPERATOR(pg_catalog.=) 'ROUTINE' AND n.nspname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" AND p.proname OPERATOR(pg_catalog.=) $4::pg_catalog.name"
	" UNION ALL"
	" SELECT (SELECT paracl FROM pg_catalog.pg_parameter_acl WHERE parname OPERATOR(pg_catalog.=) $4)"
	" WHERE $2 OPERATOR(pg_catalog.=) 'PARAMETER'"
	") AS objects",
	5, {OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

char *
kv_right_text(const KvRight *right)
{
	return psprintf("%s ON %s %s%s%s", kinds[right->kind].privilege, kinds[right->kind].object,
					right->schema != NULL ? right->schema : "",
					right->schema != NULL && right->name != NULL ? "." : "",
					right->name != NULL ? right->name : "");
}

KvRightState
kv_right_state(Oid role, const KvRight *right)
{
	KvRightState state = KV_RIGHT_NO_OBJECT;
	Datum		values[5];

	values[0] = ObjectIdGetDatum(role);
	values[1] = CStringGetTextDatum(kinds[right->kind].object);
	values[2] = CStringGetTextDatum(right->schema != NULL ? right->schema : "");
	values[3] = CStringGetTextDatum(right->name != NULL ? right->name : "");
	values[4] = CStringGetTextDatum(kinds[right->kind].privilege);
	kv_spi_connect();
	if (kv_statement_run(&select_state, values, NULL, 1) > 0)
	{
		bool		isnull;

		state = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
										   1, &isnull)) ? KV_RIGHT_HELD : KV_RIGHT_NOT_HELD;
	}
	SPI_finish();
	return state;
}

static void
run_utility(const char *sql)
{
	int			result;

	kv_spi_connect();
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement: %s",
						SPI_result_code_string(result))));
	SPI_finish();
}

void
kv_right_grant(const char *role, const KvRight *right)
{
	run_utility(psprintf("GRANT %s TO %s", kv_right_text(right), quote_identifier(role)));
}

void
kv_right_revoke(const char *role, const KvRight *right)
{
	run_utility(psprintf("REVOKE %s FROM %s", kv_right_text(right), quote_identifier(role)));
}
