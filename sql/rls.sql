-- It is the table's policies that decide, on every row that is read, written or removed.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_exempt BYPASSRLS;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_exempt', 'user');
SELECT key_vault.set(u, p, u || ':' || p || ':' || l || ':' || repeat('x', 12), l)
FROM unnest('{user_a,user_b}'::text[]) u, unnest('{exa,serper}'::text[]) p, unnest('{default,work}'::text[]) l;
CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
-- everything that a user can do with two secrets of theirs, undone after each
CREATE FUNCTION everything() RETURNS TABLE (call text, "default" text, work text) LANGUAGE plpgsql AS $$
DECLARE
    labels text[] = '{default,work}';
    result text[];
    template text;
BEGIN
    FOREACH template IN ARRAY ARRAY['get(''user_a'', ''exa'', %L)', 'source(''user_a'', ''exa'', %L)', 'set(''user_a'', ''exa'', repeat(''n'', 20), %L)',
        'rollback(''user_a'', ''exa'', 1, %L)', 'delete(''user_a'', ''exa'', %L)'] LOOP
        result := '{}';
        FOR i IN 1 .. 2 LOOP
            BEGIN
                result[i] := state_of(format('SELECT key_vault.' || template, labels[i]));
                RAISE EXCEPTION USING ERRCODE = 'KVTST';
            EXCEPTION WHEN SQLSTATE 'KVTST' THEN
            END;
        END LOOP;
        call := substring(template FROM '^\w+');
        "default" := result[1];
        work := result[2];
        RETURN NEXT;
    END LOOP;
    call := 'versions';
    "default" := state_of('SELECT count(*) FROM key_vault.versions(''user_a'', ''exa'')');
    work := state_of('SELECT count(*) FROM key_vault.versions(''user_a'', ''exa'', ''work'')');
    RETURN NEXT;
    call := 'list';
    "default" := state_of('SELECT count(*) FROM key_vault.list(''user_a'') WHERE label = ''default''');
    work := state_of('SELECT count(*) FROM key_vault.list(''user_a'') WHERE label = ''work''');
    RETURN NEXT;
    call := 'table';
    "default" := state_of('SELECT count(*) FROM key_vault.secrets WHERE label = ''default''');
    work := state_of('SELECT count(*) FROM key_vault.secrets WHERE label = ''work''');
    RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION state_of, everything TO PUBLIC;

-- as shipped
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;

-- a restrictive policy of the DBA's holds for everything, in every session at once
CREATE POLICY no_work ON key_vault_data.secrets AS RESTRICTIVE USING (label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything();
SELECT key_vault.get_all('user_a');
SELECT key_vault.forget('user_a');
SET ROLE regress_kv_service;
SELECT * FROM everything();
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', repeat('n', 20), 'work');
\set VERBOSITY sqlstate
RESET ROLE;
SELECT count(*) AS nothing_changed FROM key_vault.secrets WHERE version = 1;
DROP POLICY no_work ON key_vault_data.secrets;
SET ROLE regress_kv_user;
SELECT key_vault.get('user_a', 'exa', 'work');
RESET ROLE;

-- our own policy, made stricter: it decides, on the straight way too
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything();
SET ROLE regress_kv_service;
SELECT call, work FROM everything() WHERE call = 'get';
RESET ROLE;
ALTER POLICY own_rows ON key_vault_data.secrets USING (false);
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());

-- one that holds for one command
CREATE POLICY no_set ON key_vault_data.secrets AS RESTRICTIVE FOR INSERT WITH CHECK (label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
DROP POLICY no_set ON key_vault_data.secrets;
CREATE POLICY no_delete ON key_vault_data.secrets AS RESTRICTIVE FOR DELETE USING (label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything();
-- trimming old versions removes rows, too
SELECT n, state_of('SELECT key_vault.set(''user_a'', ''exa'', repeat(''n'', 20), ''work'')') FROM generate_series(1, 4) n;
RESET ROLE;
DELETE FROM key_vault_data.secrets WHERE version > 1;
DROP POLICY no_delete ON key_vault_data.secrets;
CREATE POLICY no_get ON key_vault_data.secrets AS RESTRICTIVE FOR SELECT USING (label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
DROP POLICY no_get ON key_vault_data.secrets;

-- one that holds for some roles
CREATE POLICY no_work ON key_vault_data.secrets AS RESTRICTIVE TO regress_kv_service USING (label <> 'work');
SET ROLE regress_kv_user;
SELECT * FROM everything() WHERE call IN ('get', 'set');
SET ROLE regress_kv_service;
SELECT * FROM everything() WHERE call IN ('get', 'set');
RESET ROLE;
GRANT regress_kv_service TO regress_kv_user;
SET ROLE regress_kv_user;
SELECT * FROM everything() WHERE call IN ('get', 'set');
RESET ROLE;
REVOKE regress_kv_service FROM regress_kv_user;
DROP POLICY no_work ON key_vault_data.secrets;

-- one more permissive policy shows other users' rows to those who read the table, and to no call
CREATE POLICY all_rows ON key_vault_data.secrets USING (true);
SET ROLE regress_kv_user;
SELECT count(*) FROM key_vault.secrets;
SELECT state_of('SELECT key_vault.get(''user_b'', ''exa'')');
SELECT * FROM everything();
RESET ROLE;
DROP POLICY all_rows ON key_vault_data.secrets;

-- without a policy nobody has a row
DROP POLICY own_rows ON key_vault_data.secrets;
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
CREATE POLICY own_rows ON key_vault_data.secrets FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id());

-- one that hides everything
CREATE POLICY nothing ON key_vault_data.secrets AS RESTRICTIVE USING (false);
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
-- what is written is held to it whoever calls; what is read, by those to whom row-level security applies
SELECT * FROM everything() WHERE call IN ('get', 'set', 'delete', 'list');
SET ROLE regress_kv_exempt;
SELECT * FROM everything() WHERE call IN ('get', 'set', 'delete', 'list');
RESET ROLE;
DROP POLICY nothing ON key_vault_data.secrets;

-- one with a subquery: only a planner can run it, and calls say so
CREATE POLICY sub ON key_vault_data.secrets AS RESTRICTIVE USING (label NOT IN (SELECT 'work'));
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
DROP POLICY sub ON key_vault_data.secrets;

-- for the owner too
ALTER TABLE key_vault_data.secrets FORCE ROW LEVEL SECURITY;
SET ROLE regress_kv_user;
SELECT * FROM everything();
RESET ROLE;
ALTER TABLE key_vault_data.secrets NO FORCE ROW LEVEL SECURITY;

-- switched off by the DBA: then a call's own condition is what is left
ALTER TABLE key_vault_data.secrets DISABLE ROW LEVEL SECURITY;
SET ROLE regress_kv_user;
SELECT * FROM everything();
SELECT state_of('SELECT key_vault.get(''user_b'', ''exa'')');
RESET ROLE;
ALTER TABLE key_vault_data.secrets ENABLE ROW LEVEL SECURITY;

-- switched off by the one whom it is for: an error where the table is read, nothing else for a call
SET ROLE regress_kv_user;
SET row_security = off;
SELECT count(*) FROM key_vault.secrets;
SELECT * FROM everything();
RESET row_security;
SELECT * FROM everything() WHERE call = 'get';
RESET ROLE;
RESET key_vault.user_id;

-- whom row-level security does not apply to: superusers, and roles with BYPASSRLS.  Calls still name one user
SELECT count(*) FROM key_vault.secrets;
SELECT key_vault.get('user_a', 'exa'), key_vault.get('user_b', 'exa');
SET row_security = off;
SELECT key_vault.get('user_a', 'exa'), key_vault.get('user_b', 'exa');
RESET row_security;
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.get('user_b', 'exa');
ROLLBACK;
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SET LOCAL ROLE regress_kv_exempt;
SELECT count(*) FROM key_vault.secrets;
SELECT key_vault.get('user_a', 'exa');
SAVEPOINT s;
SELECT key_vault.get('user_b', 'exa');
ROLLBACK TO s;
SET LOCAL row_security = off;
SELECT key_vault.get('user_a', 'exa');
ROLLBACK;
SET ROLE regress_kv_exempt;
SELECT key_vault.get('user_a', 'exa');
RESET ROLE;
-- and who loses BYPASSRLS loses it in the same session
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_exempt;
SELECT key_vault.get('user_a', 'exa');
SELECT count(*) FROM key_vault.secrets;
RESET ROLE;
ALTER ROLE regress_kv_exempt NOBYPASSRLS;
CREATE POLICY nothing ON key_vault_data.secrets AS RESTRICTIVE USING (false);
SET ROLE regress_kv_exempt;
SELECT key_vault.get('user_a', 'exa') IS NULL AS hidden;
SELECT count(*) FROM key_vault.secrets;
RESET ROLE;
ALTER ROLE regress_kv_exempt BYPASSRLS;
SET ROLE regress_kv_exempt;
SELECT key_vault.get('user_a', 'exa') IS NULL AS hidden;
RESET ROLE;
RESET key_vault.user_id;

DROP FUNCTION everything, state_of;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_exempt;
