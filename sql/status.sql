-- status(): the same items always, and a way out of each that is not ok.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
-- root keys, databases and folders differ from run to run
CREATE VIEW report AS SELECT item, state,
    replace(regexp_replace(regexp_replace(detail, '\m[0-9a-f]{16}\M', '(id)', 'g'), '"/[^"]+"', '"(path)"', 'g'), current_database(), '(database)') AS detail,
    replace(regexp_replace(regexp_replace(remedy, '\m[0-9a-f]{16}\M', '(id)', 'g'), '"/[^"]+"', '"(path)"', 'g'), current_database(), '(database)') AS remedy
FROM key_vault.status();

-- the items, in their order, before there is a root key
SELECT item FROM report;
SELECT item, state IN ('ok', 'warning', 'error') AS known_state, detail <> '' AS has_detail, (state = 'ok') = (remedy IS NULL) AS remedy_when_needed FROM report;
SELECT * FROM report WHERE item = 'root_key';

SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT * FROM report WHERE item = 'root_key';
-- how many root keys the ring has, and whether they are locked in memory, is the server's matter
SELECT item, state IN ('ok', 'warning') AS readable FROM report WHERE item = 'keyring';
-- as the server was started
SELECT item, state IN ('ok', 'warning') AS in_order FROM report WHERE item IN ('mode', 'environment');

-- when sessions load the library
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = key_vault', current_database()); END $$;
\c -
SHOW key_vault.keep_versions;
SET key_vault.hint = nonsense;
SET client_min_messages = warning;
SET jit = off;
SELECT item, state, remedy FROM report WHERE item = 'preload';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_preload_libraries', current_database()); END $$;

-- what would put keys into the log: of any session, while no role has a level
SELECT * FROM report WHERE item = 'log_settings';
CREATE PROCEDURE set_here(setting text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting); END $$;
CREATE PROCEDURE reset_here(name text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET %s', current_database(), name); END $$;
CALL set_here('log_statement = ''all''');
SELECT * FROM report WHERE item = 'log_settings';
CALL reset_here('log_statement');
-- each value of each setting
CREATE TEMP TABLE found (setting text, state text);
DO $$
DECLARE
    setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY['log_statement = mod', 'log_statement = DDL', 'log_statement = none', 'log_min_duration_statement = 0', 'log_min_duration_statement = ''1s''',
        'log_min_duration_statement = -1', 'log_min_duration_sample = 100', 'log_min_duration_sample = -1', 'log_transaction_sample_rate = 0.5', 'log_transaction_sample_rate = 0.0',
        'log_parameter_max_length_on_error = -1', 'log_parameter_max_length_on_error = 64', 'log_parameter_max_length_on_error = ''1kB''', 'log_parameter_max_length_on_error = 0',
        'log_min_error_statement = warning', 'log_min_error_statement = debug5', 'log_min_error_statement = ERROR', 'log_min_error_statement = panic',
        'debug_print_parse = yes', 'debug_print_rewritten = 1', 'debug_print_plan = on', 'debug_print_plan = off', 'debug_print_plan = 0',
        'auto_explain.log_min_duration = 0', 'auto_explain.log_min_duration = ''5s''', 'auto_explain.log_min_duration = -1',
        'pgaudit.log = ''read, write''', 'pgaudit.log = none', 'pgaudit.log_parameter = on', 'pgaudit.log_parameter = off'] LOOP
        CALL set_here(setting);
        INSERT INTO found SELECT setting, s.state FROM key_vault.status() s WHERE item = 'log_settings';
        CALL reset_here(split_part(setting, ' ', 1));
    END LOOP;
END $$;
SELECT * FROM found;
-- this session's own are nobody else's
SET log_statement = 'all';
SELECT state FROM report WHERE item = 'log_settings';
RESET log_statement;
-- of a role that handles keys, in the order in which PostgreSQL takes them
CREATE ROLE regress_kv_service LOGIN;
CREATE ROLE regress_kv_group;
CREATE ROLE regress_kv_member LOGIN NOINHERIT IN ROLE regress_kv_group;
CREATE ROLE regress_kv_admin LOGIN;
SELECT key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_group', 'user'), key_vault.grant_access('regress_kv_admin', 'admin');
CALL set_here('log_statement = ''all''');
SELECT state, detail FROM report WHERE item = 'log_settings';
ALTER ROLE regress_kv_service SET log_statement = 'none';
SELECT state, detail FROM report WHERE item = 'log_settings';
ALTER ROLE regress_kv_member SET log_statement = 'none';
SELECT state, detail FROM report WHERE item = 'log_settings';
DO $$ BEGIN EXECUTE format('ALTER ROLE regress_kv_member IN DATABASE %I SET log_min_duration_statement = 0', current_database()); END $$;
SELECT state, detail, remedy FROM report WHERE item = 'log_settings';
ALTER ROLE regress_kv_member SET log_min_duration_statement = -1;
SELECT state, detail FROM report WHERE item = 'log_settings';
-- a session that has the library from its start keeps keys out of the log, unless it is told not to
ALTER ROLE regress_kv_member SET session_preload_libraries = 'key_vault';
SELECT state, detail FROM report WHERE item = 'log_settings';
CALL set_here('key_vault.redact = off');
SELECT state, detail FROM report WHERE item = 'log_settings';
ALTER ROLE regress_kv_member SET key_vault.redact = 'on';
SELECT state, detail, remedy FROM report WHERE item = 'log_settings';
CALL reset_here('key_vault.redact');
-- not of others, nor of a group, which has no sessions
CALL reset_here('log_statement');
ALTER ROLE regress_kv_member RESET ALL;
DO $$ BEGIN EXECUTE format('ALTER ROLE regress_kv_member IN DATABASE %I RESET ALL', current_database()); END $$;
ALTER ROLE regress_kv_admin SET log_statement = 'all';
ALTER ROLE regress_kv_group SET log_statement = 'all';
SELECT state, detail FROM report WHERE item = 'log_settings';
SELECT key_vault.revoke_access('regress_kv_service');
DROP OWNED BY regress_kv_group, regress_kv_admin;
DROP ROLE regress_kv_service, regress_kv_member, regress_kv_group, regress_kv_admin;
DROP PROCEDURE set_here, reset_here;

-- rows that a root key of another database sealed
SELECT key_vault.set('user_a', 'exa', repeat('x', 20)), key_vault.set('user_b', 'exa', repeat('x', 20));
SELECT * FROM report WHERE item = 'sealed_rows';
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef', sealed = overlay(sealed PLACING '\x0123456789abcdef'::bytea FROM 2 FOR 8) WHERE user_id = 'user_a';
SELECT * FROM report WHERE item = 'sealed_rows';
DELETE FROM key_vault_data.secrets;
SELECT state FROM report WHERE item = 'sealed_rows';
-- a root key that this database registered and the ring has not
INSERT INTO key_vault_data.root_key_registry (id, created_at, activated_at) VALUES ('0123456789abcdef', now(), now() + interval '1 hour');
SELECT * FROM report WHERE item = 'root_key';
DELETE FROM key_vault_data.root_key_registry WHERE id = '0123456789abcdef';

-- who may act for any user
SELECT * FROM report WHERE item = 'service_roles';
CREATE ROLE regress_kv_app;
CREATE ROLE regress_kv_half;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT * FROM report WHERE item = 'service_roles';
SELECT key_vault.grant_access('regress_kv_half', 'user');
SELECT state FROM report WHERE item = 'service_roles';
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_half;
SELECT * FROM report WHERE item = 'service_roles';
SELECT key_vault.revoke_access('regress_kv_half');

-- more than levels give: what lets its holder lock, write or reach what no level may
SELECT * FROM report WHERE item = 'privileges';
GRANT SELECT ON key_vault.rotation_progress TO regress_kv_half;
SELECT state FROM report WHERE item = 'privileges';
GRANT DELETE, SELECT (hint) ON key_vault_data.secrets TO regress_kv_app;
GRANT EXECUTE ON FUNCTION key_vault.grant_access, key_vault.get TO regress_kv_half;
GRANT CREATE ON SCHEMA key_vault TO regress_kv_half;
GRANT USAGE ON SCHEMA key_vault_data TO regress_kv_half;
GRANT SELECT ON key_vault_data.rotation TO regress_kv_half;
GRANT EXECUTE ON FUNCTION key_vault.get TO PUBLIC;
SELECT state, unnest(string_to_array(detail, '; ')) AS detail, unnest(string_to_array(remedy, E'\n')) AS remedy FROM report WHERE item = 'privileges';
REVOKE DELETE, SELECT (hint) ON key_vault_data.secrets FROM regress_kv_app;
REVOKE EXECUTE ON FUNCTION key_vault.grant_access, key_vault.get FROM regress_kv_half;
REVOKE ALL ON SCHEMA key_vault, key_vault_data FROM regress_kv_half;
REVOKE ALL ON key_vault_data.rotation FROM regress_kv_half;
REVOKE ALL ON key_vault.rotation_progress FROM regress_kv_half;
REVOKE EXECUTE ON FUNCTION key_vault.get FROM PUBLIC;
SELECT state FROM report WHERE item = 'privileges';
-- and attributes and memberships that do, also of a member
CREATE ROLE regress_kv_member BYPASSRLS IN ROLE regress_kv_app;
GRANT pg_read_all_data TO regress_kv_app;
GRANT pg_write_all_data TO regress_kv_half;
SELECT state, unnest(string_to_array(detail, '; ')) AS detail, unnest(string_to_array(remedy, E'\n')) AS remedy FROM report WHERE item = 'privileges';
DROP ROLE regress_kv_member;
REVOKE pg_read_all_data FROM regress_kv_app;
SELECT state FROM report WHERE item = 'privileges';

-- whose identity is set
SELECT * FROM report WHERE item = 'role_settings';
ALTER ROLE regress_kv_half SET key_vault.user_id = 'user_a';
SELECT * FROM report WHERE item = 'role_settings';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET key_vault.user_id = ''user_b''', current_database()); END $$;
SELECT * FROM report WHERE item = 'role_settings';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET key_vault.user_id', current_database()); END $$;
DROP ROLE regress_kv_half;
SELECT * FROM report WHERE item = 'role_settings';

-- policies other than ours
SELECT * FROM report WHERE item = 'policies';
CREATE POLICY mine ON key_vault_data.secrets AS RESTRICTIVE USING (true);
SELECT * FROM report WHERE item = 'policies';
DROP POLICY mine ON key_vault_data.secrets;
ALTER TABLE key_vault_data.secrets DISABLE ROW LEVEL SECURITY;
SELECT * FROM report WHERE item = 'policies';
ALTER TABLE key_vault_data.secrets ENABLE ROW LEVEL SECURITY;
ALTER POLICY own_rows ON key_vault_data.secrets USING (true);
SELECT state, detail FROM report WHERE item = 'policies';
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());
SELECT state FROM report WHERE item = 'policies';
ALTER POLICY own_rows ON key_vault_data.secrets TO regress_kv_app;
SELECT state, detail FROM report WHERE item = 'policies';
ALTER POLICY own_rows ON key_vault_data.secrets TO PUBLIC;
SELECT state FROM report WHERE item = 'policies';

-- tables that are not as installed
SELECT * FROM report WHERE item = 'tables';
ALTER TABLE key_vault_data.usage SET UNLOGGED;
ALTER VIEW key_vault.inventory OWNER TO regress_kv_app;
ALTER FUNCTION key_vault.get OWNER TO regress_kv_app;
SELECT * FROM report WHERE item = 'tables';
ALTER FUNCTION key_vault.get OWNER TO CURRENT_USER;
ALTER VIEW key_vault.inventory OWNER TO CURRENT_USER;
ALTER TABLE key_vault_data.usage SET LOGGED;
SELECT state FROM report WHERE item = 'tables';

-- pgcrypto where somebody else can drop it
SELECT * FROM report WHERE item = 'pgcrypto';
CREATE SCHEMA regress_kv_theirs AUTHORIZATION regress_kv_app;
CREATE EXTENSION pgcrypto SCHEMA regress_kv_theirs;
SELECT * FROM report WHERE item = 'pgcrypto';
DROP SCHEMA regress_kv_theirs CASCADE;
CREATE EXTENSION pgcrypto SCHEMA public;
SELECT state FROM report WHERE item = 'pgcrypto';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_kv_app', current_database()); END $$;
SELECT state, split_part(detail, ' and ', 1) AS detail FROM report WHERE item = 'pgcrypto';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO CURRENT_USER', current_database()); END $$;
DROP EXTENSION pgcrypto;

-- what cannot be found out takes no other item away
ALTER EXTENSION key_vault DROP FUNCTION key_vault.granted_levels;
ALTER FUNCTION key_vault.granted_levels RENAME TO elsewhere;
SELECT item, state, detail FROM report WHERE detail ~ 'found out';
SELECT count(*) AS others FROM report WHERE detail !~ 'found out';
ALTER FUNCTION key_vault.elsewhere RENAME TO granted_levels;
ALTER EXTENSION key_vault ADD FUNCTION key_vault.granted_levels;
SELECT count(*) FROM report WHERE detail ~ 'found out';

-- in a read-only transaction, and by an admin or monitor
BEGIN READ ONLY;
SELECT count(*) FROM key_vault.status();
COMMIT;
SELECT key_vault.grant_access('regress_kv_app', 'monitor');
SET ROLE regress_kv_app;
SELECT count(*) FROM key_vault.status();
SELECT count(*) FROM key_vault.status() WHERE state = 'error';
RESET ROLE;
SELECT key_vault.grant_access('regress_kv_app', 'admin');
SET ROLE regress_kv_app;
SELECT count(*) FROM key_vault.status();
SELECT count(*) FROM key_vault.status() WHERE state = 'error';
RESET ROLE;

DROP VIEW report;
SELECT key_vault.revoke_access('regress_kv_app');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_app;
