/*
 * status_rows.c
 *		The SQL behind status().  Each statement gives a row for each thing that it
 *		finds: how bad it is (0 to 2), a clause that says it, and what to type.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "store/statement.h"
#include "store/status_rows.h"

#define OURS " OPERATOR(pg_catalog.=) ANY ('{key_vault,key_vault_data}'::pg_catalog.name[])"
#define IS(a, b) a " OPERATOR(pg_catalog.=) " b

/* Tables of one user's rows each, as they all are: t (oid, name, relrowsecurity). */
#define USER_TABLES \
	"(SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity" \
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON " IS("n.oid", "c.relnamespace") \
	" WHERE n.nspname" OURS " AND " IS("c.relkind", "ANY ('{r,p}'::pg_catalog.\"char\"[])") \
	" AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE " IS("a.attrelid", "c.oid") \
	" AND " IS("a.attname", "'user_id'") ")) AS t"

#define OWN_ROWS_IS_ANEW \
	"pg_catalog.format('BEGIN; DROP POLICY IF EXISTS own_rows ON %1$s;" \
	" CREATE POLICY own_rows ON %1$s FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id()); COMMIT;', t.name)"

/* The settings that say for whom a transaction acts. */
#define IDENTITIES "ANY ('{key_vault.user_id,key_vault.team_id}'::pg_catalog.text[])"
#define SETS_IDENTITIES "'{SET ON PARAMETER key_vault.user_id,SET ON PARAMETER key_vault.team_id}'::pg_catalog.text[]"

static KvStatement questions[] = {
	[KV_ASK_SERVICE_ROLES] = {
		"SELECT 0, pg_catalog.concat(role, ': ', CASE WHEN " IS("level", "'service'") " THEN 'service'"
		" ELSE 'service, if at all, in another database' END), NULL FROM key_vault.granted_levels()"
		" WHERE (" IS("level", "'service'") " AND " IS("missing", "'{}'") ")"
		" OR (level IS NULL AND extra OPERATOR(pg_catalog.<@) " SETS_IDENTITIES ")"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('%s: incomplete %s, missing %s', role, level,"
		" pg_catalog.array_to_string(missing, ', ')),"
		" pg_catalog.format('SELECT key_vault.grant_access(%1$L, %2$L);  -- or key_vault.revoke_access(%1$L)', role, level)"
		" FROM key_vault.granted_levels() WHERE level IS NOT NULL AND missing OPERATOR(pg_catalog.<>) '{}'"
		" AND role OPERATOR(pg_catalog.<>) 'PUBLIC'"
		" ORDER BY 2"
	},
	[KV_ASK_ROLE_SETTINGS] = {
		"SELECT CASE WHEN " IS("s.setrole", "0") " THEN 1 ELSE 0 END, pg_catalog.concat("
		"CASE WHEN " IS("s.setrole", "0") " THEN 'every role' ELSE pg_catalog.concat('role ', pg_catalog.pg_get_userbyid(s.setrole)) END,"
		" CASE WHEN s.setdatabase OPERATOR(pg_catalog.<>) 0 THEN pg_catalog.concat(' in database ', d.datname) END,"
		" ': ', entry),"
		" CASE WHEN s.setrole OPERATOR(pg_catalog.<>) 0 THEN NULL"
		" WHEN " IS("s.setdatabase", "0") " THEN pg_catalog.format('ALTER ROLE ALL RESET %s;', n.name)"
		" ELSE pg_catalog.format('ALTER DATABASE %I RESET %s;', d.datname, n.name) END"
		" FROM pg_catalog.pg_db_role_setting s"
		" LEFT JOIN pg_catalog.pg_database d ON " IS("d.oid", "s.setdatabase") ","
		" LATERAL pg_catalog.unnest(s.setconfig) AS entry,"
		" LATERAL pg_catalog.lower(pg_catalog.split_part(entry, '=', 1)) AS n (name)"
		" WHERE " IS("n.name", IDENTITIES)
		" UNION ALL"
		" SELECT 1, pg_catalog.format('every role of the server: %s=%s', f.name, f.setting),"
		" pg_catalog.format('LOAD ''key_vault''; ALTER SYSTEM SET %s = ''''; SELECT pg_reload_conf();', f.name)"
		" FROM (SELECT DISTINCT ON (1) pg_catalog.lower(name) AS name, setting FROM pg_catalog.pg_file_settings"
		" WHERE " IS("pg_catalog.lower(name)", IDENTITIES) " ORDER BY 1, seqno DESC) AS f"
		" WHERE f.setting OPERATOR(pg_catalog.<>) ''"
		" ORDER BY 2"
	},
	/*
	 * Rights to look at a view or to call a function of the levels' are for DBAs to
	 * give.  Others let their holder lock or change tables, or reach what no level may.
	 */
	[KV_ASK_PRIVILEGES] = {
		"WITH rights AS ("
		" SELECT a.role, r.privilege FROM key_vault.granted_levels() a,"
		" LATERAL pg_catalog.unnest(CASE WHEN " IS("a.role", "'PUBLIC'")
		" THEN a.extra OPERATOR(pg_catalog.||) ARRAY(SELECT l.privilege FROM key_vault.level_rights() l WHERE "
		IS("a.level", "ANY (l.levels)") " AND l.privilege OPERATOR(pg_catalog.<>) ALL (a.missing)) ELSE a.extra END) AS r (privilege)"
		"), leveled AS ("
		" SELECT DISTINCT r.oid, r.rolname, r.rolbypassrls, a.level FROM key_vault.granted_levels() a"
		" JOIN pg_catalog.pg_roles l ON " IS("l.rolname", "a.role")
		" JOIN pg_catalog.pg_roles r ON pg_catalog.pg_has_role(r.oid, l.oid, 'MEMBER')"
		" WHERE a.level IS NOT NULL AND NOT r.rolsuper"
		")"
		" SELECT 1, pg_catalog.format('%s: %s', role, privilege), pg_catalog.format('REVOKE %s FROM %s;', privilege,"
		" CASE WHEN " IS("role", "'PUBLIC'") " THEN 'PUBLIC' ELSE pg_catalog.quote_ident(role) END)"
		" FROM rights WHERE " IS("role", "'PUBLIC'")
		" OR privilege OPERATOR(pg_catalog.!~) '^(SELECT ON TABLE key_vault[.]|EXECUTE ON ROUTINE|USAGE ON SCHEMA key_vault$|SET ON PARAMETER)'"
		" OR (pg_catalog.starts_with(privilege, 'EXECUTE ')"
		" AND privilege OPERATOR(pg_catalog.<>) ALL (ARRAY(SELECT l.privilege FROM key_vault.level_rights() l)))"
		" UNION"
		" SELECT 1, pg_catalog.format('%s has level %s and bypasses row-level security', rolname, level),"
		" pg_catalog.format('ALTER ROLE %I NOBYPASSRLS;', rolname)"
		" FROM leveled WHERE rolbypassrls"
		" UNION"
		" SELECT 1, pg_catalog.format('%s has level %s and is a member of %s', l.rolname, l.level, p.rolname),"
		" pg_catalog.format('REVOKE %I FROM %I;', p.rolname, pg_catalog.pg_get_userbyid(m.member))"
		" FROM leveled l JOIN pg_catalog.pg_auth_members m ON pg_catalog.pg_has_role(l.oid, m.member, 'MEMBER')"
		" JOIN pg_catalog.pg_roles p ON " IS("p.oid", "m.roleid")
		" WHERE " IS("p.rolname", "ANY ('{pg_read_all_data,pg_write_all_data,pg_read_server_files,pg_write_server_files,pg_execute_server_program}'::pg_catalog.name[])")
		" ORDER BY 2"
	},
	[KV_ASK_POLICIES] = {
		"SELECT 2, pg_catalog.format('row-level security is off on %s', t.name),"
		" pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.name)"
		" FROM " USER_TABLES " WHERE NOT t.relrowsecurity"
		" UNION ALL"
		" SELECT 2, pg_catalog.format('policy own_rows is not as installed on %s', t.name), " OWN_ROWS_IS_ANEW
		" FROM " USER_TABLES " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_policy p"
		" WHERE " IS("p.polrelid", "t.oid") " AND " IS("p.polname", "'own_rows'") " AND " IS("p.polcmd", "'*'")
		/* shown so because status() has a search_path of its own */
		" AND " IS("pg_catalog.pg_get_expr(p.polqual, p.polrelid)", "'(user_id = key_vault.current_user_id())'")
		" AND p.polpermissive AND p.polwithcheck IS NULL AND " IS("p.polroles", "'{0}'::pg_catalog.oid[]") ")"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('policy %s on %s is not of key_vault, and pg_dump leaves it out', policyname, tablename),"
		" pg_catalog.format('DROP POLICY %I ON %I.%I;  -- or keep it, in a migration', policyname, schemaname, tablename)"
		" FROM pg_catalog.pg_policies"
		" WHERE schemaname" OURS " AND policyname OPERATOR(pg_catalog.<>) 'own_rows'"
		" ORDER BY 2"
	},
	[KV_ASK_TABLES] = {
		"WITH extension AS ("
		" SELECT oid, extowner FROM pg_catalog.pg_extension WHERE " IS("extname", "'key_vault'")
		"), objects AS ("
		" SELECT 'SCHEMA' AS kind, pg_catalog.quote_ident(nspname) AS name, nspowner AS owner, 'pg_namespace'::pg_catalog.regclass AS classid, oid"
		" FROM pg_catalog.pg_namespace"
		" UNION ALL"
		" SELECT 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname), c.relowner, 'pg_class', c.oid"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON " IS("n.oid", "c.relnamespace")
		" UNION ALL"
		" SELECT 'ROUTINE', oid::pg_catalog.regprocedure::pg_catalog.text, proowner, 'pg_proc', oid FROM pg_catalog.pg_proc"
		")"
		" SELECT 2, pg_catalog.format('%s %s belongs to %s', pg_catalog.lower(o.kind), o.name, pg_catalog.pg_get_userbyid(o.owner)),"
		" pg_catalog.format('ALTER %s %s OWNER TO %I;', o.kind, o.name, pg_catalog.pg_get_userbyid(e.extowner))"
		" FROM extension e JOIN pg_catalog.pg_depend d ON " IS("d.refobjid", "e.oid")
		" AND " IS("d.refclassid", "'pg_extension'::pg_catalog.regclass") " AND " IS("d.deptype", "'e'")
		" JOIN objects o ON " IS("o.classid", "d.classid") " AND " IS("o.oid", "d.objid")
		" WHERE o.owner OPERATOR(pg_catalog.<>) e.extowner"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('table %I.%I is unlogged: a crash empties it, and replicas have no rows', n.nspname, c.relname),"
		" pg_catalog.format('ALTER TABLE %I.%I SET LOGGED;', n.nspname, c.relname)"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON " IS("n.oid", "c.relnamespace")
		" WHERE n.nspname" OURS " AND " IS("c.relkind", "ANY ('{r,p}'::pg_catalog.\"char\"[])") " AND " IS("c.relpersistence", "'u'")
		" UNION ALL"
		" SELECT 1, pg_catalog.format('trigger %I on %I.%I does not fire always, and sessions read the table at each call', t.tgname, n.nspname, c.relname),"
		" pg_catalog.format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I;', n.nspname, c.relname, t.tgname)"
		" FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON " IS("c.oid", "t.tgrelid")
		" JOIN pg_catalog.pg_namespace n ON " IS("n.oid", "c.relnamespace")
		" WHERE n.nspname" OURS " AND " IS("t.tgname", "ANY ('{metadata_changed,metadata_emptied}'::pg_catalog.name[])")
		" AND t.tgenabled OPERATOR(pg_catalog.<>) 'A'"
		" ORDER BY 2"
	},
	/* pg_database_owner is whoever owns this database. */
	[KV_ASK_PGCRYPTO] = {
		"SELECT 1, pg_catalog.format('%s owns schema %s and can drop pgcrypto with it, which escrow_keyring() and encrypted imports need', r.rolname, n.nspname),"
		" 'CREATE SCHEMA pgcrypto; ALTER EXTENSION pgcrypto SET SCHEMA pgcrypto;  -- who calls it by bare names needs that schema in the search_path'"
		" FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON " IS("n.oid", "e.extnamespace")
		" JOIN pg_catalog.pg_database d ON " IS("d.datname", "pg_catalog.current_database()")
		" JOIN pg_catalog.pg_roles r ON " IS("r.oid", "CASE WHEN " IS("n.nspowner", "'pg_database_owner'::pg_catalog.regrole") " THEN d.datdba ELSE n.nspowner END")
		" WHERE " IS("e.extname", "'pgcrypto'") " AND NOT r.rolsuper"
	},
	/* What SQL that was injected in one request leaves behind, the next one may run. */
	[KV_ASK_TOKEN_ROLES] = {
		"WITH users AS ("
		" SELECT DISTINCT r.oid, r.rolname FROM key_vault.granted_levels() a"
		" JOIN pg_catalog.pg_roles l ON " IS("l.rolname", "a.role")
		" JOIN pg_catalog.pg_roles r ON pg_catalog.pg_has_role(r.oid, l.oid, 'MEMBER')"
		" WHERE " IS("a.level", "'user'") " AND r.rolcanlogin AND NOT r.rolsuper"
		"), this AS ("
		" SELECT d.oid, d.datname FROM pg_catalog.pg_database d WHERE " IS("d.datname", "pg_catalog.current_database()")
		")"
		" SELECT 1, pg_catalog.format('%s may create temporary objects', u.rolname),"
		" pg_catalog.format('REVOKE TEMPORARY ON DATABASE %1$I FROM PUBLIC; REVOKE TEMPORARY ON DATABASE %1$I FROM %2$I;', d.datname, u.rolname)"
		" FROM users u, this d WHERE pg_catalog.has_database_privilege(u.oid, d.oid, 'TEMPORARY')"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('%s may create schemas', u.rolname),"
		" pg_catalog.format('REVOKE CREATE ON DATABASE %1$I FROM PUBLIC; REVOKE CREATE ON DATABASE %1$I FROM %2$I;', d.datname, u.rolname)"
		" FROM users u, this d WHERE pg_catalog.has_database_privilege(u.oid, d.oid, 'CREATE')"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('%s may create objects in schema %I', u.rolname, n.nspname),"
		" pg_catalog.format('REVOKE CREATE ON SCHEMA %1$I FROM PUBLIC; REVOKE CREATE ON SCHEMA %1$I FROM %2$I;', n.nspname, u.rolname)"
		" FROM users u, pg_catalog.pg_namespace n WHERE pg_catalog.has_schema_privilege(u.oid, n.oid, 'CREATE')"
		" AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast_)?temp_'"
		" UNION ALL"
		" SELECT 1, pg_catalog.format('%s owns objects of this database', u.rolname),"
		" pg_catalog.format('REASSIGN OWNED BY %I TO CURRENT_USER;', u.rolname)"
		" FROM users u WHERE EXISTS (SELECT FROM pg_catalog.pg_shdepend s, this d"
		" WHERE " IS("s.dbid", "d.oid") " AND " IS("s.refclassid", "'pg_authid'::pg_catalog.regclass")
		" AND " IS("s.refobjid", "u.oid") " AND " IS("s.deptype", "'o'") ")"
		" ORDER BY 2"
	}
};

static KvStatusRow *
unpack(HeapTuple tuple, TupleDesc columns)
{
	KvStatusRow *row = palloc(sizeof(KvStatusRow));
	bool		isnull;

	row->severity = (KvSeverity) DatumGetInt32(SPI_getbinval(tuple, columns, 1, &isnull));
	row->detail = SPI_getvalue(tuple, columns, 2);
	row->remedy = SPI_getvalue(tuple, columns, 3);
	return row;
}

List *
kv_status_rows_ask(KvStatusQuestion question)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *rows = NIL;
	uint64		count;

	kv_spi_connect();
	count = kv_statement_run_as_owner(&questions[question], NULL, NULL, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < count; i++)
		rows = lappend(rows, unpack(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	SPI_finish();
	return rows;
}
