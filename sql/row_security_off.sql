-- row_security = off, which the owner of a database can set for all of its sessions, changes nothing:
-- every call gives what it gives with on, and the policies still decide.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- whose extension it is: a superuser, and later on none
CREATE ROLE regress_kv_owner SUPERUSER;
SET SESSION AUTHORIZATION regress_kv_owner;
CREATE EXTENSION key_vault;
RESET SESSION AUTHORIZATION;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_admin;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_admin', 'admin');
SELECT key_vault.set(u, p, u || ':' || p || ':' || repeat('x', 12)) FROM unnest('{user_a,user_b}'::text[]) u, unnest('{exa,serper}'::text[]) p;
SELECT key_vault.set('user_a', 'exa', 'user_a:exa:' || repeat('y', 12)), key_vault.record_usage('user_a', 'exa');

CREATE TABLE script (id int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO script (statement) SELECT 'SELECT ' || statement FROM unnest(ARRAY[
    'key_vault.get(''user_a'', ''exa'')', 'key_vault.get(''user_b'', ''exa'')', 'key_vault.require(''user_a'', ''serper'')', 'key_vault.get_all(''user_a'')', 'key_vault.source(''user_a'', ''exa'')',
    'string_agg(concat_ws('' '', provider, label, version, hint, status), '', '') FROM key_vault.list(''user_a'')', 'string_agg(concat_ws('' '', version, hint, is_current), '', '') FROM key_vault.versions(''user_a'', ''exa'')',
    'string_agg(concat_ws('' '', provider, configured, source, hint), '', '') FROM key_vault.onboarding(''user_a'')', 'key_vault.set(''user_a'', ''exa'', repeat(''n'', 20))', 'key_vault.rollback(''user_a'', ''exa'', 1)',
    'string_agg(concat_ws('' '', provider, variable, version), '', '') FROM key_vault.import_dotenv(''user_a'', ''EXA_API_KEY='' || repeat(''n'', 20))',
    'concat_ws('' '', imported, skipped, failed) FROM key_vault.import_keys(''SELECT ''''user_a'''', ''''exa'''', repeat(''''n'''', 20)'')',
    'key_vault.record_usage(''user_a'', ''exa'')', 'key_vault.delete(''user_a'', ''exa'')', 'key_vault.delete(''user_b'', ''exa'')', 'key_vault.forget(''user_a'')',
    'count(*) FROM key_vault.inventory', 'string_agg(concat_ws('' '', state, secrets), '', '') FROM key_vault.root_keys', 'count(*) FROM key_vault.expiring(''1 day'')', 'string_agg(session_id || key, '', '') FROM key_vault.api_keys',
    'count(*) FROM key_vault.onboarding_sessions', 'string_agg(user_id || requests, '', '') FROM key_vault.monthly_costs', 'key_vault.remove_provider(''exa'')', 'string_agg(item || state, '', '') FROM key_vault.status()']) statement;
GRANT SELECT ON script TO PUBLIC;

-- what each role gets, and with which row_security; undone after each
CREATE FUNCTION outcomes(setting text) RETURNS TABLE (role_name name, identity text, id int, outcome text) LANGUAGE plpgsql AS $$
DECLARE
    line record;
BEGIN
    FOR role_name, identity IN VALUES ('regress_kv_user', 'user_a'), ('regress_kv_service', ''), ('regress_kv_service', 'user_a'), ('regress_kv_admin', '') LOOP
        FOR line IN SELECT * FROM script s ORDER BY s.id LOOP
            BEGIN
                PERFORM set_config('row_security', setting, true), set_config('key_vault.user_id', identity, true);
                EXECUTE format('SET LOCAL ROLE %I', role_name);
                EXECUTE line.statement INTO outcome;
                RAISE EXCEPTION USING ERRCODE = 'KVTST';
            EXCEPTION
                WHEN SQLSTATE 'KVTST' THEN
                    outcome := coalesce(outcome, 'NULL');
                WHEN OTHERS THEN
                    outcome := SQLSTATE;
            END;
            id := line.id;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;
CREATE VIEW difference AS
    SELECT a.role_name, a.identity, s.statement, a.outcome AS "on", b.outcome AS off
    FROM outcomes('on') a JOIN outcomes('off') b USING (role_name, identity, id) JOIN script s USING (id) WHERE a.outcome <> b.outcome;

-- the straight way
SELECT role_name, identity, count(*) FILTER (WHERE outcome !~ '^[0-9A-Z]{5}$') > 5 AS they_work FROM outcomes('off') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM difference;
-- the planner's
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (label = 'default');
SELECT role_name, identity, count(*) FILTER (WHERE outcome !~ '^[0-9A-Z]{5}$') > 5 AS they_work FROM outcomes('off') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM difference;
-- with an owner to whom row-level security applies
ALTER TABLE key_vault_data.secrets FORCE ROW LEVEL SECURITY;
ALTER TABLE key_vault_data.usage FORCE ROW LEVEL SECURITY;
ALTER ROLE regress_kv_owner NOSUPERUSER;
SELECT role_name, identity, count(*) FILTER (WHERE outcome !~ '^[0-9A-Z]{5}$') > 5 AS they_work FROM outcomes('off') WHERE role_name <> 'regress_kv_admin' GROUP BY 1, 2 ORDER BY 1, 2;
-- (a SELECT of a view is the planner's, and fails)
SELECT * FROM difference WHERE role_name <> 'regress_kv_admin' AND statement !~ 'api_keys|onboarding_sessions|monthly_costs';
-- then a count of all that a root key seals must not be taken for all
SET key_vault.user_id = 'user_c';
SELECT key_vault.activate_root_key(key_vault.create_root_key());
SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys WHERE state = 'standby';
RESET key_vault.user_id;
ALTER ROLE regress_kv_owner SUPERUSER;
ALTER TABLE key_vault_data.secrets NO FORCE ROW LEVEL SECURITY;
ALTER TABLE key_vault_data.usage NO FORCE ROW LEVEL SECURITY;

-- a policy that hides rows goes on hiding them
CREATE POLICY no_serper ON key_vault_data.secrets AS RESTRICTIVE USING (provider <> 'serper');
SET key_vault.user_id = 'user_a';
SET row_security = off;
SET ROLE regress_kv_user;
SELECT key_vault.get(NULL, 'serper') IS NULL AS hidden, (SELECT count(*) FROM key_vault.list(NULL)) AS listed;
SELECT key_vault.set(NULL, 'serper', repeat('n', 20));
-- the setting is as it was after a call
SELECT key_vault.set(NULL, 'exa', repeat('n', 20)), current_setting('row_security');
RESET ROLE;
RESET key_vault.user_id;
DROP POLICY no_serper ON key_vault_data.secrets;

-- what commits as it goes
CALL key_vault.rotate_root_key();
CALL key_vault.purge();
SELECT count(key_vault.retire_root_key(id)) FROM key_vault.root_keys WHERE state = 'standby' AND secrets = 0;
SELECT current_setting('row_security');
RESET row_security;

DROP VIEW difference;
DROP FUNCTION outcomes;
DROP TABLE script;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_owner;
