/*
 * status_rows.c
 *		The SQL behind status().  Each statement gives one text: NULL for "all
 *		is well", or what was found.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "store/statement.h"
#include "store/status_rows.h"

static KvStatement questions[] = {
	[KV_ASK_LOG_SETTINGS] = {
		"SELECT pg_catalog.string_agg(found, ', ' ORDER BY found) FROM ("
		" SELECT pg_catalog.concat(name, ' = ', setting) AS found FROM pg_catalog.pg_settings"
		" WHERE (name OPERATOR(pg_catalog.=) 'log_statement' AND setting OPERATOR(pg_catalog.<>) ALL ('{none,ddl}'::pg_catalog.text[]))"
		" OR (name OPERATOR(pg_catalog.=) ANY ('{log_min_duration_statement,log_min_duration_sample,auto_explain.log_min_duration}'::pg_catalog.text[])"
		" AND setting OPERATOR(pg_catalog.<>) '-1')"
		/* here -1 means without a limit */
		" OR (name OPERATOR(pg_catalog.=) ANY ('{log_parameter_max_length_on_error,log_transaction_sample_rate}'::pg_catalog.text[])"
		" AND setting OPERATOR(pg_catalog.<>) '0')"
		" OR (name OPERATOR(pg_catalog.=) ANY ('{debug_print_parse,debug_print_rewritten,debug_print_plan}'::pg_catalog.text[]) AND setting OPERATOR(pg_catalog.=) 'on')"
		") AS s",
		0
	},
	[KV_ASK_SEALED_ROWS] = {
		"SELECT CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 THEN pg_catalog.concat("
		"'sealed with root keys that this database did not register: ',"
		" pg_catalog.string_agg(pg_catalog.concat(n, ' with ', root_key_id), ', ' ORDER BY root_key_id)) END FROM ("
		" SELECT root_key_id, pg_catalog.count(*) AS n FROM key_vault_data.secrets s"
		" WHERE NOT EXISTS (SELECT FROM key_vault_data.root_key_registry r"
		" WHERE r.id OPERATOR(pg_catalog.=) s.root_key_id)"
		" GROUP BY root_key_id) AS strangers",
		0
	},
	[KV_ASK_SERVICE_ROLES] = {
		"SELECT pg_catalog.string_agg(pg_catalog.concat(role, ': ',"
		" CASE WHEN complete THEN 'service' WHEN is_elsewhere THEN 'service, if at all, in another database'"
		" ELSE pg_catalog.concat('incomplete ', level, ', missing ', missing, ', extra ', extra) END),"
		" '; ' ORDER BY role) FROM key_vault.access,"
		" LATERAL (SELECT level IS NULL AND extra OPERATOR(pg_catalog.=) '{SET ON PARAMETER key_vault.user_id}'::pg_catalog.text[]"
		" AND role OPERATOR(pg_catalog.<>) 'PUBLIC'::pg_catalog.name AS is_elsewhere) AS e"
		" WHERE NOT complete OR level OPERATOR(pg_catalog.=) 'service'",
		0
	},
	[KV_ASK_ROLE_SETTINGS] = {
		"SELECT pg_catalog.string_agg(pg_catalog.concat("
		"CASE WHEN setrole OPERATOR(pg_catalog.=) 0 THEN 'every role' ELSE pg_catalog.concat('role ', pg_catalog.pg_get_userbyid(setrole)) END,"
		" CASE WHEN setdatabase OPERATOR(pg_catalog.<>) 0 THEN pg_catalog.concat(' in database ', d.datname) END,"
		" ': ', entry), '; ' ORDER BY setrole, setdatabase)"
		" FROM pg_catalog.pg_db_role_setting s"
		" LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase,"
		" LATERAL pg_catalog.unnest(setconfig) AS entry"
		" WHERE pg_catalog.starts_with(pg_catalog.lower(entry), 'key_vault.user_id=')",
		0
	},
	[KV_ASK_POLICIES] = {
		"SELECT pg_catalog.string_agg(found, '; ' ORDER BY found) FROM ("
		" SELECT pg_catalog.concat('row-level security is off on ', relname) AS found"
		" FROM pg_catalog.pg_class"
		" WHERE oid OPERATOR(pg_catalog.=) ANY ('{key_vault_data.secrets,key_vault_data.usage}'::pg_catalog.regclass[]::pg_catalog.oid[])"
		" AND NOT relrowsecurity"
		" UNION ALL"
		" SELECT pg_catalog.concat('policy own_rows is missing on ', t)"
		" FROM pg_catalog.unnest('{secrets,usage}'::pg_catalog.text[]) AS t"
		" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_policies p"
		" WHERE p.schemaname OPERATOR(pg_catalog.=) 'key_vault_data' AND p.tablename OPERATOR(pg_catalog.=) t"
		" AND p.policyname OPERATOR(pg_catalog.=) 'own_rows' AND p.cmd OPERATOR(pg_catalog.=) 'ALL'"
		/* shown so because status() has a search_path of its own */
		" AND p.qual OPERATOR(pg_catalog.=) '(user_id = key_vault.current_user_id())'"
		" AND p.with_check IS NULL AND p.roles OPERATOR(pg_catalog.=) '{public}'::pg_catalog.name[])"
		" UNION ALL"
		" SELECT pg_catalog.concat('policy ', policyname, ' on ', tablename, ' is not of key_vault, and pg_dump leaves it out')"
		" FROM pg_catalog.pg_policies"
		" WHERE schemaname OPERATOR(pg_catalog.=) 'key_vault_data' AND policyname OPERATOR(pg_catalog.<>) 'own_rows'"
		") AS s",
		0
	},
	[KV_ASK_PRELOAD] = {
		"SELECT 'sessions load the library at their first call'"
		" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_settings"
		" WHERE name OPERATOR(pg_catalog.=) ANY ('{session_preload_libraries,shared_preload_libraries}'::pg_catalog.text[])"
		" AND setting OPERATOR(pg_catalog.~) '(^|[, \"/])key_vault($|[, \"])')",
		0
	}
};

char *
kv_status_rows_ask(KvStatusQuestion question)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *answer = NULL;

	kv_spi_connect();
	if (kv_statement_run_as_owner(&questions[question], NULL, NULL, 1) > 0)
	{
		answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		if (answer != NULL)
			answer = MemoryContextStrdup(caller, answer);
	}
	SPI_finish();
	return answer;
}
