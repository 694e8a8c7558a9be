-- What each level may do with each of our objects, and nothing else.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_nobody;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_monitor;
CREATE ROLE regress_kv_auditor;
CREATE ROLE regress_kv_member IN ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_monitor', 'monitor'), key_vault.grant_access('regress_kv_auditor', 'auditor');
SELECT key_vault.set(u, 'exa', u || '/' || repeat('x', 20)) FROM unnest('{user_a,user_b}'::text[]) u;

-- by the catalogs
CREATE TEMP TABLE level (id int GENERATED ALWAYS AS IDENTITY, role_name name);
INSERT INTO level (role_name) VALUES ('regress_kv_nobody'), ('regress_kv_user'), ('regress_kv_service'), ('regress_kv_admin'), ('regress_kv_monitor'), ('regress_kv_auditor');
\pset format unaligned
SELECT p.proname AS function, string_agg(substr(role_name, 12), ' ' ORDER BY id) AS may_execute
FROM pg_proc p LEFT JOIN level ON has_function_privilege(role_name, p.oid, 'EXECUTE')
WHERE pronamespace = 'key_vault'::regnamespace GROUP BY 1 ORDER BY 1;
SELECT c.oid::regclass AS relation, privilege, string_agg(substr(role_name, 12), ' ' ORDER BY id) AS roles
FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege, level
WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND relkind IN ('r', 'v', 'p', 'm', 'S') AND has_table_privilege(role_name, c.oid, privilege)
GROUP BY c.oid, 2 ORDER BY c.oid::regclass::text COLLATE "C", 2;
\pset format aligned
SELECT role_name, has_schema_privilege(role_name, 'key_vault', 'USAGE') AS usage, has_schema_privilege(role_name, 'key_vault', 'CREATE') AS create,
       has_schema_privilege(role_name, 'key_vault_data', 'USAGE') OR has_schema_privilege(role_name, 'key_vault_data', 'CREATE') AS data_schema,
       has_parameter_privilege(role_name, 'key_vault.user_id', 'SET') AS set_identity, has_parameter_privilege(role_name, 'key_vault.team_id', 'SET') AS set_team,
       has_parameter_privilege(role_name, 'key_vault.user_id', 'ALTER SYSTEM') OR has_parameter_privilege(role_name, 'key_vault.team_id', 'ALTER SYSTEM') AS alter_system
FROM level ORDER BY id;
SELECT name AS other_settings_that_a_level_may_set FROM pg_settings, level
WHERE name LIKE 'key\_vault.%' AND name NOT IN ('key_vault.user_id', 'key_vault.team_id') AND (has_parameter_privilege(role_name, name, 'SET') OR has_parameter_privilege(role_name, name, 'ALTER SYSTEM'));

-- and what the list of levels says is on objects that there are, one right on each
SELECT privilege FROM key_vault.level_rights() WHERE split_part(privilege, ' ON ', 2) NOT IN (
    SELECT 'SCHEMA ' || nspname FROM pg_namespace
    UNION ALL SELECT 'TABLE ' || nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    UNION ALL SELECT 'ROUTINE ' || nspname || '.' || proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
    UNION ALL SELECT 'PARAMETER ' || name FROM pg_settings);
SELECT split_part(privilege, ' ON ', 2) AS twice FROM key_vault.level_rights() GROUP BY 1 HAVING count(*) > 1;
-- a routine is named without its arguments
SELECT proname AS overloaded FROM pg_proc WHERE pronamespace = 'key_vault'::regnamespace GROUP BY 1 HAVING count(*) > 1;

-- by trying.  What works is undone.
CREATE FUNCTION attempt(role_name name, identity text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('key_vault.user_id', identity, true);
    EXECUTE format('SET LOCAL ROLE %I', role_name);
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'KVTST';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'KVTST' THEN 'allowed' ELSE SQLSTATE END;
END $$;

CREATE SCHEMA regress_kv_own;
GRANT ALL ON SCHEMA regress_kv_own TO PUBLIC;
CREATE TEMP TABLE try (id int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO try (statement) VALUES
    ('SELECT * FROM %s'), ('SELECT FROM %s FOR UPDATE'), ('SELECT FROM %s FOR KEY SHARE'), ('INSERT INTO %s DEFAULT VALUES'),
    ('INSERT INTO %1$s SELECT * FROM %1$s LIMIT 0'), ('DELETE FROM %s'), ('DELETE FROM %s WHERE false'), ('TRUNCATE %s'),
    ('LOCK TABLE %s IN ACCESS SHARE MODE'), ('LOCK TABLE %s IN ROW SHARE MODE'), ('LOCK TABLE %s IN ROW EXCLUSIVE MODE'), ('LOCK TABLE %s IN SHARE MODE'),
    ('LOCK TABLE %s'), ('CREATE TRIGGER t AFTER INSERT ON %s EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
    ('CREATE RULE r AS ON INSERT TO %s DO INSTEAD NOTHING'), ('CREATE POLICY p ON %s'), ('ALTER TABLE %s DISABLE ROW LEVEL SECURITY'), ('ALTER TABLE %s ADD x int'),
    ('ALTER TABLE %s OWNER TO CURRENT_USER'), ('DROP TABLE %s'), ('DROP VIEW %s'), ('CREATE INDEX ON %s (oid)'), ('COMMENT ON TABLE %s IS NULL'), ('REINDEX TABLE %s'), ('CLUSTER %s'), ('CREATE TABLE regress_kv_own.child () INHERITS (%s)'),
    ('DO ''BEGIN GRANT SELECT ON %1$s TO PUBLIC; IF NOT has_table_privilege(''''regress_kv_nobody'''', ''''%1$s'''', ''''SELECT'''') THEN RAISE insufficient_privilege; END IF; END''');
SET client_min_messages = error;
SELECT role_name, statement, string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text COLLATE "C") AS allowed
FROM level, try, pg_class c
WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND relkind IN ('r', 'v')
  AND attempt(role_name, 'user_a', format(statement, c.oid::regclass)) = 'allowed'
GROUP BY level.id, role_name, try.id, statement ORDER BY level.id, try.id;
SET client_min_messages = warning;
-- every column of every table, updated
SELECT role_name, attrelid::regclass, attname FROM level, pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
  AND attempt(role_name, 'user_a', format('UPDATE %s SET %2$I = %2$I', attrelid::regclass, attname)) <> '42501';
-- a foreign key that points at our tables would tell what is in them
SELECT role_name, attempt(role_name, 'user_a', 'CREATE TABLE regress_kv_own.f (u text, p text, l text, v int, FOREIGN KEY (u, p, l, v) REFERENCES key_vault_data.secrets)') FROM level ORDER BY level.id;
-- things in our schemas
SELECT role_name, statement, attempt(role_name, 'user_a', statement) FROM level, (VALUES ('CREATE TABLE key_vault.mine (i int)'), ('CREATE TABLE key_vault_data.mine (i int)'), ('SELECT ''key_vault_data.secrets''::regclass'), ('CREATE FUNCTION key_vault.mine() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
    ('CREATE OR REPLACE FUNCTION key_vault.current_user_id() RETURNS text LANGUAGE sql AS ''SELECT ''''user_b''''::text'''), ('ALTER FUNCTION key_vault.get LEAKPROOF'),
    ('ALTER EXTENSION key_vault DROP TABLE key_vault_data.secrets'), ('DROP EXTENSION key_vault'), ('DROP SCHEMA key_vault CASCADE'), ('DROP SCHEMA key_vault_data CASCADE')) AS s (statement)
WHERE attempt(role_name, 'user_a', statement) <> '42501';

-- by calling
CREATE TEMP TABLE call (id int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO call (statement) VALUES
    ('key_vault.current_user_id()'), ('key_vault.get(%L, ''exa'')'), ('key_vault.require(%L, ''exa'')'), ('key_vault.lookup(%L, ''exa'')'), ('key_vault.get_all(%L)'), ('key_vault.source(%L, ''exa'')'),
    ('key_vault.list(%L)'), ('key_vault.versions(%L, ''exa'')'), ('key_vault.set(%L, ''exa'', repeat(''n'', 20))'), ('key_vault.rollback(%L, ''exa'', 1)'),
    ('key_vault.delete(%L, ''exa'')'), ('key_vault.forget(%L)'), ('key_vault.onboarding(%L)'), ('key_vault.record_usage(%L, ''exa'')'),
    ('key_vault.import_dotenv(%L, ''EXA_API_KEY='' || repeat(''n'', 20))'), ('key_vault.import_keys(''SELECT ''''user_a'''', ''''exa'''', repeat(''''n'''', 20)'')'),
    ('key_vault.mode()'), ('key_vault.sees_all_users()'), ('key_vault.add_provider(''acme'')'), ('key_vault.remove_provider(''deepl'')'),
    ('key_vault.create_root_key()'), ('key_vault.activate_root_key(''0123456789abcdef'')'),
    ('key_vault.retire_root_key(''0123456789abcdef'')'), ('key_vault.expiring(''1 day'')'), ('key_vault.escrow_keyring(''no key'')'), ('key_vault.status()'), ('key_vault.grant_access(''regress_kv_nobody'', ''user'')'), ('key_vault.revoke_access(''regress_kv_user'')');
SELECT statement AS call,
       max(attempt(role_name, '', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_nobody') AS nobody,
       max(attempt(role_name, 'user_a', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_user') AS "user",
       max(attempt(role_name, 'user_b', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_user') AS other_user,
       max(attempt(role_name, '', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_user') AS no_user,
       max(attempt(role_name, '', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_service') AS service,
       max(attempt(role_name, 'user_b', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_service') AS service_for_another,
       max(attempt(role_name, '', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_admin') AS admin,
       max(attempt(role_name, 'user_a', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_admin') AS admin_as_user,
       max(attempt(role_name, '', 'SELECT * FROM ' || format(statement, 'user_a'))) FILTER (WHERE role_name = 'regress_kv_monitor') AS monitor
FROM call, level GROUP BY call.id, statement ORDER BY call.id;

SELECT role_name, attempt(role_name, '', 'CALL key_vault.rotate_root_key()') AS "rotate_root_key, in a transaction",
       attempt(role_name, '', 'CALL key_vault.purge()') AS "purge, in a transaction" FROM level ORDER BY id;

-- what each sees of the tables
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_user;
SELECT user_id, provider, octet_length(sealed) AS bytes FROM key_vault.secrets;
SELECT count(*) FROM key_vault.secrets WHERE user_id = 'user_b';
SELECT session_id, provider, key FROM key_vault.api_keys;
SELECT user_id FROM key_vault.onboarding_sessions;
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_user;
SELECT (SELECT count(*) FROM key_vault.secrets) AS secrets, (SELECT count(*) FROM key_vault.api_keys) AS api_keys, (SELECT count(*) FROM key_vault.onboarding_sessions) AS onboarding_sessions;
SELECT count(*) FROM key_vault.inventory;
SET ROLE regress_kv_service;
SELECT (SELECT count(*) FROM key_vault.secrets) AS secrets, (SELECT count(*) FROM key_vault.api_keys) AS api_keys, (SELECT count(*) FROM key_vault.onboarding_sessions) AS onboarding_sessions;
SET ROLE regress_kv_admin;
SELECT count(*) FROM key_vault.secrets;
SELECT user_id, provider, label, version, is_current, hint, status FROM key_vault.inventory ORDER BY 1, 2;
SELECT session_id, provider, key FROM key_vault.api_keys ORDER BY 1, 2;
SELECT user_id FROM key_vault.onboarding_sessions ORDER BY 1;
SELECT attname FROM pg_attribute WHERE attrelid = 'key_vault.inventory'::regclass AND attnum > 0 ORDER BY attnum;
SELECT state, secrets FROM key_vault.root_keys WHERE state <> 'standby';
-- a monitor can use all that it may name
SET ROLE regress_kv_monitor;
SELECT count(*) > 5 AS answers FROM key_vault.status();
SELECT count(*) AS expiring FROM key_vault.expiring('1 day');
SELECT state, secrets FROM key_vault.root_keys WHERE state <> 'standby';
SELECT count(*) AS rotations FROM key_vault.rotation_progress;
SELECT role, level, complete FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' ORDER BY role;
SELECT count(*) FROM key_vault.secrets;
SELECT count(*) FROM key_vault.inventory;
SELECT count(*) FROM key_vault.api_keys;
RESET ROLE;

-- what comes by membership counts; what is taken away is gone at once, in the same session
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
REVOKE regress_kv_user FROM regress_kv_member;
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
GRANT regress_kv_user TO regress_kv_member;
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_user;
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.list('user_a');
RESET ROLE;
GRANT SELECT (user_id, provider, label, version, root_key_id, sealed, hint) ON key_vault_data.secrets TO regress_kv_user;
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
GRANT SELECT (expires_at, attributes) ON key_vault_data.secrets TO regress_kv_user;
SET ROLE regress_kv_member;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
RESET key_vault.user_id;
-- the right to act for any user too
SET ROLE regress_kv_service;
SELECT key_vault.get('user_b', 'exa');
RESET ROLE;
REVOKE SET ON PARAMETER key_vault.user_id FROM regress_kv_service;
SET ROLE regress_kv_service;
SELECT key_vault.get('user_b', 'exa');
RESET ROLE;
GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_service;
SET ROLE regress_kv_service;
SELECT key_vault.get('user_b', 'exa');
RESET ROLE;
-- and what comes by owning the database
GRANT SET ON PARAMETER key_vault.user_id TO pg_database_owner;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_kv_user', current_database()); END $$;
SET ROLE regress_kv_user;
SELECT key_vault.get('user_b', 'exa');
RESET ROLE;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO CURRENT_USER', current_database()); END $$;
SET ROLE regress_kv_user;
SELECT key_vault.get('user_b', 'exa');
RESET ROLE;
REVOKE SET ON PARAMETER key_vault.user_id FROM pg_database_owner;

DROP FUNCTION attempt;
DROP SCHEMA regress_kv_own;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_member, regress_kv_nobody, regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_monitor, regress_kv_auditor;
