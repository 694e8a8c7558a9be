-- status(): the same items always, and a way out of each that is not ok.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
-- root keys, databases and folders differ from run to run
CREATE VIEW report AS SELECT item, state,
    replace(regexp_replace(regexp_replace(detail, '\m[0-9a-f]{16}\M', '(id)', 'g'), '"/[^"]+"', '"(path)"', 'g'), current_database(), '(database)') AS detail,
    replace(regexp_replace(remedy, '"/[^"]+"', '"(path)"', 'g'), current_database(), '(database)') AS remedy
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
SELECT (state = 'ok') = (concat(current_setting('shared_preload_libraries'), current_setting('session_preload_libraries')) ~ 'key_vault') AS as_set,
       remedy IS NULL OR remedy = 'ALTER DATABASE (database) SET session_preload_libraries = ''key_vault'';' AS says_how
FROM report WHERE item = 'preload';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = key_vault', current_database()); END $$;
\c -
SHOW key_vault.keep_versions;
SET key_vault.hint = nonsense;
SET client_min_messages = warning;
SET jit = off;
SELECT * FROM report WHERE item = 'preload';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_preload_libraries', current_database()); END $$;

-- what would put keys into the log
SELECT * FROM report WHERE item = 'log_settings';
SET log_statement = 'all';
SELECT * FROM report WHERE item = 'log_settings';
SET log_statement = 'mod';
SELECT state FROM report WHERE item = 'log_settings';
SET log_statement = 'ddl';
SELECT state FROM report WHERE item = 'log_settings';
RESET log_statement;
SET log_min_duration_statement = 0;
SELECT * FROM report WHERE item = 'log_settings';
SET log_min_duration_statement = 1000;
SELECT state FROM report WHERE item = 'log_settings';
RESET log_min_duration_statement;
SET log_min_duration_sample = 100;
SELECT state FROM report WHERE item = 'log_settings';
RESET log_min_duration_sample;
SET log_transaction_sample_rate = 0.5;
SELECT state FROM report WHERE item = 'log_settings';
RESET log_transaction_sample_rate;
SET log_parameter_max_length_on_error = -1;
SELECT state FROM report WHERE item = 'log_settings';
SET log_parameter_max_length_on_error = 64;
SELECT state FROM report WHERE item = 'log_settings';
RESET log_parameter_max_length_on_error;
SET debug_print_plan = on;
SELECT state FROM report WHERE item = 'log_settings';
RESET debug_print_plan;
SELECT state FROM report WHERE item = 'log_settings';

-- rows that a root key of another database sealed
SELECT key_vault.set('user_a', 'exa', repeat('x', 20)), key_vault.set('user_b', 'exa', repeat('x', 20));
SELECT * FROM report WHERE item = 'sealed_rows';
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef' WHERE user_id = 'user_a';
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

-- in a read-only transaction, and by an admin
BEGIN READ ONLY;
SELECT count(*) FROM key_vault.status();
COMMIT;
SELECT key_vault.grant_access('regress_kv_app', 'admin');
SET ROLE regress_kv_app;
SELECT count(*) FROM key_vault.status();
SELECT count(*) FROM key_vault.status() WHERE state = 'error';
RESET ROLE;

DROP VIEW report;
SELECT key_vault.revoke_access('regress_kv_app');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_app;
