-- Giving, changing and taking levels; what the view access shows of it.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
CREATE ROLE "regress_kv_O'Hara ""x""";
CREATE ROLE regress_kv_dba CREATEROLE CREATEDB;
CREATE VIEW held AS SELECT role, level, complete, missing, extra, note FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' ORDER BY role, level;
SELECT * FROM held;

-- each level, one after the other on the same role: the last call counts
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT * FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT * FROM held;
SELECT has_parameter_privilege('regress_kv_app', 'key_vault.user_id', 'SET') AS may_set;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_app', 'admin');
SELECT * FROM held;
SELECT has_parameter_privilege('regress_kv_app', 'key_vault.user_id', 'SET') AS may_set, has_table_privilege('regress_kv_app', 'key_vault_data.secrets', 'SELECT') AS may_read,
       has_function_privilege('regress_kv_app', 'key_vault.get(text, text, text)', 'EXECUTE') AS may_get;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT * FROM held;
SELECT has_table_privilege('regress_kv_app', 'key_vault.inventory', 'SELECT') AS may_see_all;
SELECT key_vault.grant_access('regress_kv_app', 'monitor');
SELECT * FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'admin');
SELECT * FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'monitor');
SELECT has_function_privilege('regress_kv_app', 'key_vault.purge(int)', 'EXECUTE') AS may_purge;
SELECT key_vault.revoke_access('regress_kv_app');
SELECT * FROM held;
SELECT key_vault.revoke_access('regress_kv_app');
-- and nothing is left
SELECT count(*) FROM pg_shdepend WHERE refobjid = 'regress_kv_app'::regrole;

-- a name that has to be quoted
SELECT key_vault.grant_access('regress_kv_O''Hara "x"', 'service');
SELECT role, level, complete FROM held;
SELECT key_vault.revoke_access('regress_kv_O''Hara "x"');
SELECT * FROM held;

-- what is not there: an error, and nothing changes
\set VERBOSITY default
SELECT key_vault.grant_access('regress_kv_unknown', 'user');
SELECT key_vault.grant_access('regress_kv_app', 'root');
\set VERBOSITY sqlstate
SELECT key_vault.grant_access('regress_kv_app', 'USER');
SELECT key_vault.grant_access('regress_kv_app', '');
SELECT key_vault.grant_access('regress_kv_app', NULL);
SELECT key_vault.grant_access('public', 'user');
SELECT key_vault.revoke_access('regress_kv_unknown');
SELECT * FROM held;

-- half a level
GRANT USAGE ON SCHEMA key_vault TO regress_kv_app;
SELECT * FROM held;
GRANT EXECUTE ON FUNCTION key_vault.mode TO regress_kv_app;
SELECT * FROM held;
GRANT EXECUTE ON FUNCTION key_vault.get TO regress_kv_app;
SELECT role, level, complete, cardinality(missing) > 5 AS much_is_missing, extra FROM held;
SELECT key_vault.revoke_access('regress_kv_app');
GRANT EXECUTE ON FUNCTION key_vault.status TO regress_kv_app;
SELECT role, level, complete, cardinality(missing), extra FROM held;
GRANT EXECUTE ON FUNCTION key_vault.create_root_key TO regress_kv_app;
SELECT role, level, complete, cardinality(missing) > 5 AS much_is_missing, extra FROM held;
SELECT key_vault.revoke_access('regress_kv_app');
GRANT EXECUTE ON FUNCTION key_vault.import_keys TO regress_kv_app;
SELECT role, level, complete, cardinality(missing) > 5 AS much_is_missing, extra FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'user');
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_app;
SELECT * FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'user');
-- more than a level
GRANT DELETE ON key_vault_data.secrets TO regress_kv_app;
GRANT EXECUTE ON FUNCTION key_vault.grant_access TO regress_kv_app;
SELECT * FROM held;
REVOKE DELETE ON key_vault_data.secrets FROM regress_kv_app;
REVOKE EXECUTE ON FUNCTION key_vault.grant_access FROM regress_kv_app;
GRANT SELECT (hint), UPDATE (hint) ON key_vault_data.secrets TO regress_kv_app;
SELECT * FROM held;
REVOKE SELECT (hint), UPDATE (hint) ON key_vault_data.secrets FROM regress_kv_app;
-- two levels
GRANT SELECT ON key_vault.inventory TO regress_kv_app;
SELECT role, level, complete, extra FROM held;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT role, level, complete FROM held;
SELECT key_vault.revoke_access('regress_kv_app');
-- the identity alone
GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_app;
SELECT role, level, complete, cardinality(missing) > 10 AS much_is_missing, note FROM held;
SELECT key_vault.revoke_access('regress_kv_app');
SELECT * FROM held;
-- somebody gave all to PUBLIC
GRANT EXECUTE ON FUNCTION key_vault.get TO PUBLIC;
SELECT role, level, complete, note FROM key_vault.access WHERE role = 'PUBLIC';
REVOKE EXECUTE ON FUNCTION key_vault.get FROM PUBLIC;

-- it does not rest on what comes by membership, and warns when that stays
SELECT key_vault.grant_access('regress_kv_dba', 'user');
GRANT regress_kv_dba TO regress_kv_app;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT role, level, complete FROM held;
\set VERBOSITY default
SELECT key_vault.revoke_access('regress_kv_app');
\set VERBOSITY sqlstate
SELECT role, level, complete FROM held;
REVOKE regress_kv_dba FROM regress_kv_app;
SELECT key_vault.revoke_access('regress_kv_dba');

-- who may call it: superusers.  The grants decide, also for one who was given EXECUTE
SET ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT key_vault.revoke_access('regress_kv_app');
RESET ROLE;
GRANT USAGE ON SCHEMA key_vault TO regress_kv_dba;
GRANT EXECUTE ON FUNCTION key_vault.grant_access, key_vault.revoke_access TO regress_kv_dba;
SET ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_app', 'admin');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_dba;
RESET ROLE;
-- one who holds all that a level gives, and may pass none of it on: PostgreSQL only warns of that
SELECT key_vault.grant_access('regress_kv_dba', 'monitor'), key_vault.grant_access('regress_kv_app', 'monitor');
SET client_min_messages = error;
SET ROLE regress_kv_dba;
SELECT key_vault.revoke_access('regress_kv_app');
RESET ROLE;
SELECT key_vault.revoke_access('regress_kv_app');
SET ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'monitor');
RESET ROLE;
SET client_min_messages = warning;
SELECT role, level FROM held WHERE role = 'regress_kv_app';
SELECT key_vault.revoke_access('regress_kv_dba');
-- as its grant options go; the level service stays a superuser's to give
GRANT USAGE ON SCHEMA key_vault, key_vault_data TO regress_kv_dba WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA key_vault, key_vault_data TO regress_kv_dba WITH GRANT OPTION;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA key_vault TO regress_kv_dba WITH GRANT OPTION;
SET ROLE regress_kv_dba;
\set VERBOSITY default
SELECT key_vault.grant_access('regress_kv_app', 'service');
\set VERBOSITY sqlstate
SELECT key_vault.grant_access('regress_kv_app', 'user');
RESET ROLE;
SELECT role, level, complete FROM held WHERE role = 'regress_kv_app';
SELECT key_vault.grant_access('regress_kv_app', 'service');
SET ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'user');
SELECT key_vault.revoke_access('regress_kv_app');
RESET ROLE;
SELECT role, level, complete FROM held WHERE role = 'regress_kv_app';
SET ROLE regress_kv_dba;
REVOKE SELECT ON key_vault_data.secrets, key_vault.providers FROM regress_kv_app;
RESET ROLE;
REVOKE ALL ON ALL TABLES IN SCHEMA key_vault, key_vault_data FROM regress_kv_dba CASCADE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA key_vault FROM regress_kv_dba CASCADE;
REVOKE ALL ON SCHEMA key_vault, key_vault_data FROM regress_kv_dba CASCADE;

-- a role that may act for any user cannot be dropped before that is taken back
SELECT key_vault.grant_access('regress_kv_app', 'service');
DROP ROLE regress_kv_app;
BEGIN;
DROP OWNED BY regress_kv_app;
SELECT has_parameter_privilege('regress_kv_app', 'key_vault.user_id', 'SET') AS after_drop_owned;
ROLLBACK;
-- it outlives the extension, and is seen by the next one
DROP VIEW held;
DROP EXTENSION key_vault;
DROP ROLE regress_kv_app;
SELECT has_parameter_privilege('regress_kv_app', 'key_vault.user_id', 'SET') AS still_may_set;
CREATE EXTENSION key_vault;
SELECT role, level, complete, 'USAGE ON SCHEMA key_vault' = ANY (missing) AS no_usage FROM key_vault.access WHERE role LIKE 'regress\_kv\_%';
SELECT key_vault.revoke_access('regress_kv_app');
DROP ROLE regress_kv_app;

DROP EXTENSION key_vault;
DROP ROLE regress_kv_dba, "regress_kv_O'Hara ""x""";
