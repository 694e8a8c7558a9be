/*
 * access_rows.c
 *		The SQL that grants and revokes levels of access.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "store/access_rows.h"
#include "store/statement.h"

static KvStatement select_privileges = {
	"SELECT level, kind, object, privilege FROM key_vault.level_privileges"
	" ORDER BY level, kind, object, privilege",
	0
};

/* Direct grants only: what comes by membership is not ours to set. */
static KvStatement select_granted = {
	"SELECT 1 FROM ("
	" SELECT nspacl AS acl FROM pg_catalog.pg_namespace"
	" WHERE $2 OPERATOR(pg_catalog.=) 'schema' AND nspname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" UNION ALL"
	" SELECT relacl FROM pg_catalog.pg_class WHERE $2 OPERATOR(pg_catalog.=) 'relation'"
	" AND relname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" AND relnamespace OPERATOR(pg_catalog.=) 'key_vault'::pg_catalog.regnamespace::pg_catalog.oid"
	" UNION ALL"
	" SELECT proacl FROM pg_catalog.pg_proc WHERE $2 OPERATOR(pg_catalog.=) 'routine'"
	" AND proname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" AND pronamespace OPERATOR(pg_catalog.=) 'key_vault'::pg_catalog.regnamespace::pg_catalog.oid"
	" UNION ALL"
	" SELECT paracl FROM pg_catalog.pg_parameter_acl"
	" WHERE $2 OPERATOR(pg_catalog.=) 'parameter' AND parname OPERATOR(pg_catalog.=) $3"
	") AS objects, LATERAL pg_catalog.aclexplode(acl) AS granted"
	" WHERE granted.privilege_type OPERATOR(pg_catalog.=) $4"
	" AND granted.grantee OPERATOR(pg_catalog.=)"
	" (SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name)",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement insert_privilege = {
	"INSERT INTO key_vault.level_privileges (level, kind, object, privilege)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static KvStatement select_roles = {
	"SELECT role FROM key_vault.access WHERE level OPERATOR(pg_catalog.=) $1"
	" AND missing OPERATOR(pg_catalog.=) '{}'::pg_catalog.text[]"
	" AND role OPERATOR(pg_catalog.<>) 'PUBLIC'::pg_catalog.name",
	1, {TEXTOID}
};

bool
kv_access_row_insert(const KvPrivilege *privilege)
{
	Datum		values[4];
	bool		inserted;

	values[0] = CStringGetTextDatum(privilege->level);
	values[1] = CStringGetTextDatum(privilege->kind);
	values[2] = CStringGetTextDatum(privilege->object);
	values[3] = CStringGetTextDatum(privilege->privilege);
	kv_spi_connect();
	inserted = kv_statement_run(&insert_privilege, values, NULL, 0) > 0;
	SPI_finish();
	return inserted;
}

List *
kv_access_roles(const char *level)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[1];
	uint64		count;
	List	   *roles = NIL;

	values[0] = CStringGetTextDatum(level);
	kv_spi_connect();
	count = kv_statement_run(&select_roles, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < count; i++)
		roles = lappend(roles, SPI_getvalue(SPI_tuptable->vals[i],
											SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return roles;
}

uint64
kv_access_rows_load(KvPrivilege **privileges)
{
	MemoryContext caller = CurrentMemoryContext;
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run(&select_privileges, NULL, NULL, 0);
	*privileges = MemoryContextAlloc(caller, sizeof(KvPrivilege) * Max(count, 1));
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;

		(*privileges)[i].level = SPI_getvalue(tuple, columns, 1);
		(*privileges)[i].kind = SPI_getvalue(tuple, columns, 2);
		(*privileges)[i].object = SPI_getvalue(tuple, columns, 3);
		(*privileges)[i].privilege = SPI_getvalue(tuple, columns, 4);
	}
	SPI_finish();
	return count;
}

bool
kv_access_is_granted(const char *role, const KvPrivilege *privilege)
{
	Datum		values[4];
	bool		granted;

	values[0] = CStringGetTextDatum(role);
	values[1] = CStringGetTextDatum(privilege->kind);
	values[2] = CStringGetTextDatum(privilege->object);
	values[3] = CStringGetTextDatum(privilege->privilege);
	kv_spi_connect();
	granted = kv_statement_run(&select_granted, values, NULL, 1) > 0;
	SPI_finish();
	return granted;
}

/* "SELECT ON TABLE key_vault.secrets" */
static void
append_right(StringInfo sql, const KvPrivilege *privilege)
{
	appendStringInfo(sql, "%s ON ", privilege->privilege);
	if (strcmp(privilege->kind, "schema") == 0)
		appendStringInfo(sql, "SCHEMA %s", quote_identifier(privilege->object));
	else if (strcmp(privilege->kind, "relation") == 0)
		appendStringInfo(sql, "TABLE key_vault.%s", quote_identifier(privilege->object));
	else if (strcmp(privilege->kind, "routine") == 0)
		appendStringInfo(sql, "ROUTINE key_vault.%s", quote_identifier(privilege->object));
	else
		appendStringInfo(sql, "PARAMETER %s", privilege->object);
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
kv_access_grant(const char *role, const KvPrivilege *privilege)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "GRANT ");
	append_right(&sql, privilege);
	appendStringInfo(&sql, " TO %s", quote_identifier(role));
	run_utility(sql.data);
}

void
kv_access_revoke(const char *role, const KvPrivilege *privilege)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "REVOKE ");
	append_right(&sql, privilege);
	appendStringInfo(&sql, " FROM %s", quote_identifier(role));
	run_utility(sql.data);
}
