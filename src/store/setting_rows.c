/*
 * setting_rows.c
 *		The SQL that finds out which settings a session of a role would have.
 *
 * This session's own are no answer: it may have changed them, and its role and
 * options have settings of their own.  So what the server says counts when nothing of
 * that kind hides it, and what the configuration files say otherwise.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store/setting_rows.h"
#include "store/statement.h"

/* The last line of a configuration file that names the setting. */
#define IN_FILES(name) \
	"(SELECT f.setting FROM pg_catalog.pg_file_settings f" \
	" WHERE pg_catalog.lower(f.name) OPERATOR(pg_catalog.=) " name \
	" ORDER BY f.seqno DESC LIMIT 1)"

/* Of those that apply to a role, the one for this database and this role counts most. */
static KvStatement select_session_settings = {
	"WITH roles AS ("
	" SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r"
	" WHERE r.rolcanlogin AND NOT r.rolsuper AND EXISTS (SELECT FROM key_vault.granted_levels() a"
	" JOIN pg_catalog.pg_roles l ON l.rolname OPERATOR(pg_catalog.=) a.role"
	" WHERE a.level OPERATOR(pg_catalog.=) ANY ('{user,service}'::pg_catalog.text[])"
	" AND pg_catalog.pg_has_role(r.oid, l.oid, 'MEMBER'))"
	"), judged AS ("
	" SELECT oid, rolname FROM roles"
	" UNION ALL SELECT 0, NULL WHERE NOT EXISTS (SELECT FROM roles)"
	"), entries AS ("
	" SELECT s.setrole, s.setdatabase,"
	" pg_catalog.lower(pg_catalog.split_part(entry, '=', 1)) AS name,"
	" pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') OPERATOR(pg_catalog.+) 1) AS value"
	" FROM pg_catalog.pg_db_role_setting s, LATERAL pg_catalog.unnest(s.setconfig) AS entry"
	" WHERE s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=)"
	" (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
	")"
	" SELECT j.rolname, n.name, COALESCE("
	"(SELECT e.value FROM entries e WHERE e.name OPERATOR(pg_catalog.=) n.name"
	" AND (e.setrole OPERATOR(pg_catalog.=) 0 OR e.setrole OPERATOR(pg_catalog.=) j.oid)"
	" ORDER BY e.setrole OPERATOR(pg_catalog.<>) 0 DESC, e.setdatabase OPERATOR(pg_catalog.<>) 0 DESC LIMIT 1),"
	" (SELECT p.setting FROM pg_catalog.pg_settings p"
	" WHERE pg_catalog.lower(p.name) OPERATOR(pg_catalog.=) n.name AND p.source OPERATOR(pg_catalog.=)"
	" ANY ('{default,\"environment variable\",\"configuration file\",\"command line\"}'::pg_catalog.text[])),"
	" " IN_FILES("n.name") ","
	" (SELECT p.boot_val FROM pg_catalog.pg_settings p"
	" WHERE pg_catalog.lower(p.name) OPERATOR(pg_catalog.=) n.name))"
	" FROM judged j, pg_catalog.unnest($1) AS n (name)"
	" ORDER BY j.rolname, n.name",
	1, {TEXTARRAYOID}
};

static KvStatement select_server_setting = {
	"SELECT setting, source, " IN_FILES("$1")
	" FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static Datum
text_array(const char *const *elements, int count)
{
	Datum	   *datums = palloc(sizeof(Datum) * count);

	for (int i = 0; i < count; i++)
		datums[i] = CStringGetTextDatum(elements[i]);
	return PointerGetDatum(construct_array(datums, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

List *
kv_session_settings(const char *const *names, int count)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[1];
	List	   *settings = NIL;
	uint64		rows;

	values[0] = text_array(names, count);
	kv_spi_connect();
	rows = kv_statement_run_as_owner(&select_session_settings, values, NULL, 0);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < rows; i++)
	{
		KvSessionSetting *setting = palloc(sizeof(KvSessionSetting));
		HeapTuple	tuple = SPI_tuptable->vals[i];

		setting->role = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
		setting->name = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2);
		setting->value = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 3);
		settings = lappend(settings, setting);
	}
	SPI_finish();
	return settings;
}

KvServerSetting
kv_server_setting(const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	KvServerSetting setting = {0};
	Datum		values[1];

	values[0] = CStringGetTextDatum(name);
	kv_spi_connect();
	if (kv_statement_run_as_owner(&select_server_setting, values, NULL, 1) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];

		MemoryContextSwitchTo(caller);
		setting.value = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
		setting.source = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2);
		setting.pending = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 3);
	}
	SPI_finish();
	return setting;
}
