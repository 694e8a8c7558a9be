-- The identity: who a transaction acts for, and every way in which that ends.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.set(u, 'exa', u || '/' || repeat('x', 20)), key_vault.set(u, 'serper', u || '/' || repeat('y', 20))
FROM unnest('{user_a,user_b}'::text[]) u;

SET SESSION AUTHORIZATION regress_kv_service;

-- as a session begins: none
SELECT key_vault.current_user_id() IS NULL AS none, current_setting('key_vault.user_id') = '' AS empty;
-- then a service names the user, and a call without one has nobody
SELECT key_vault.get('user_a', 'exa'), key_vault.get('user_b', 'exa');
SELECT key_vault.get(NULL, 'exa');
SELECT key_vault.current_user_id() IS NULL AS none_again;

-- for a transaction
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.current_user_id(), key_vault.get(NULL, 'exa'), key_vault.get('user_a', 'serper');
SELECT key_vault.get('user_b', 'exa');
ROLLBACK;
SELECT key_vault.current_user_id() IS NULL AS none;
BEGIN;
SELECT set_config('key_vault.user_id', 'user_b', true);
SELECT key_vault.get(NULL, 'exa');
COMMIT;
SELECT key_vault.current_user_id() IS NULL AS none;
-- outside of one, SET LOCAL does nothing but warn
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.current_user_id() IS NULL AS none;
-- in one statement, from left to right
SELECT set_config('key_vault.user_id', 'user_a', true), key_vault.get(NULL, 'exa'), set_config('key_vault.user_id', 'user_b', true), key_vault.get(NULL, 'exa');
SELECT key_vault.current_user_id() IS NULL AS none;

-- what another user is: any other bytes
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['user_A', 'user_a ', 'user_', 'user_aa', ' user_a', E'user_a\n'] LOOP
        BEGIN
            PERFORM key_vault.get(name, 'exa');
            RAISE 'get for "%"', name;
        EXCEPTION WHEN insufficient_privilege THEN
        END;
    END LOOP;
END $$;
COMMIT;

-- no call reaches another user
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY[
        'SELECT key_vault.get(''user_b'', ''exa'')', 'SELECT key_vault.require(''user_b'', ''exa'')', 'SELECT key_vault.get_all(''user_b'')', 'SELECT * FROM key_vault.lookup(''user_b'', ''exa'')',
        'SELECT key_vault.source(''user_b'', ''exa'')', 'SELECT * FROM key_vault.list(''user_b'')', 'SELECT * FROM key_vault.versions(''user_b'', ''exa'')',
        'SELECT key_vault.set(''user_b'', ''exa'', repeat(''n'', 20))', 'SELECT key_vault.delete(''user_b'', ''exa'')', 'SELECT key_vault.forget(''user_b'')',
        'SELECT key_vault.rollback(''user_b'', ''exa'', 1)'] LOOP
        BEGIN
            EXECUTE statement;
            RAISE '% was not refused', statement;
        EXCEPTION WHEN insufficient_privilege THEN
            ASSERT SQLERRM = 'the transaction acts for another user', SQLERRM;
        END;
    END LOOP;
END $$;
SELECT user_id, count(*) FROM key_vault.secrets GROUP BY 1;
COMMIT;

-- savepoints
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SAVEPOINT s;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.get(NULL, 'exa');
ROLLBACK TO s;
SELECT key_vault.get(NULL, 'exa');
SET LOCAL key_vault.user_id = 'user_b';
RELEASE s;
SELECT key_vault.get(NULL, 'exa');
COMMIT;

-- for a session, until it is taken back
SET key_vault.user_id = 'user_a';
SELECT key_vault.get(NULL, 'exa');
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.get(NULL, 'exa');
COMMIT;
SELECT key_vault.get(NULL, 'exa');
BEGIN;
SET key_vault.user_id = 'user_b';
ROLLBACK;
SELECT key_vault.current_user_id();
RESET key_vault.user_id;
SELECT key_vault.current_user_id() IS NULL AS none;
SET key_vault.user_id = 'user_a';
SET key_vault.user_id = '';
SELECT key_vault.current_user_id() IS NULL AS none;
SET key_vault.user_id = 'user_a';
SET key_vault.user_id TO DEFAULT;
SELECT key_vault.current_user_id() IS NULL AS none;
SET key_vault.user_id = 'user_a';
RESET ALL;
SELECT key_vault.current_user_id() IS NULL AS none;
SET key_vault.user_id = 'user_a';
DISCARD ALL;
SELECT key_vault.current_user_id() IS NULL AS none;
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_kv_service;

-- a role that may not set it keeps what it was given, or has none
RESET SESSION AUTHORIZATION;
GRANT regress_kv_user TO regress_kv_service;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_user;
SELECT key_vault.get(NULL, 'exa');
SELECT key_vault.get('user_b', 'exa');
SET key_vault.user_id = 'user_b';
SET LOCAL key_vault.user_id = 'user_b';
SELECT set_config('key_vault.user_id', 'user_b', false);
SELECT set_config('key_vault.user_id', 'user_b', true);
RESET key_vault.user_id;
UPDATE pg_settings SET setting = 'user_b' WHERE name = 'key_vault.user_id';
SELECT key_vault.current_user_id();
RESET ALL;
SELECT key_vault.current_user_id() IS NULL AS none;
\set VERBOSITY default
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.get(NULL, 'exa');
\set VERBOSITY sqlstate
RESET ROLE;
SELECT current_user;

-- the identity is the transaction's: the role that reads may change
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.get(NULL, 'exa');
SET LOCAL ROLE regress_kv_user;
SELECT key_vault.get(NULL, 'exa');
SELECT key_vault.get('user_b', 'exa');
ROLLBACK;

-- an error in a block of plpgsql gives back who was acted for
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
DO $$
BEGIN
    BEGIN
        PERFORM set_config('key_vault.user_id', 'user_b', true);
        ASSERT key_vault.current_user_id() = 'user_b';
        RAISE EXCEPTION USING ERRCODE = 'KVTST';
    EXCEPTION WHEN SQLSTATE 'KVTST' THEN
        ASSERT key_vault.current_user_id() = 'user_a';
    END;
    BEGIN
        PERFORM key_vault.require(NULL, 'groq');
    EXCEPTION WHEN no_data_found THEN
        ASSERT key_vault.current_user_id() = 'user_a';
    END;
END $$;
COMMIT;
-- and a call that fails leaves nobody behind, whichever it is
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['SELECT key_vault.require(''user_a'', ''groq'')', 'SELECT key_vault.rollback(''user_a'', ''exa'', 99)',
        'SELECT key_vault.set(''user_a'', ''exa'', repeat(''n'', 20), if_version => 9)'] LOOP
        BEGIN
            EXECUTE statement;
            RAISE '% did not fail', statement;
        EXCEPTION WHEN no_data_found OR undefined_object OR object_not_in_prerequisite_state THEN
            ASSERT key_vault.current_user_id() IS NULL, statement;
        END;
        ASSERT (SELECT count(*) FROM key_vault.secrets) = 0, statement;
    END LOOP;
END $$;
SELECT key_vault.get('user_b', 'exa');
RESET SESSION AUTHORIZATION;

-- while a call goes on, it acts for its user: seen from a policy of the DBA's
CREATE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'acts for %', key_vault.current_user_id();
    RETURN true;
END $$;
CREATE POLICY note ON key_vault_data.secrets AS RESTRICTIVE USING (provider <> 'exa' OR note_identity());
SET SESSION AUTHORIZATION regress_kv_service;
\set VERBOSITY terse
SELECT key_vault.get('user_a', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.get('user_a', 'exa'), key_vault.get('user_b', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.set('user_a', 'exa', 'user_a/' || repeat('x', 20)), key_vault.current_user_id() IS NULL AS none;
SELECT version, key_vault.current_user_id() FROM key_vault.versions('user_a', 'exa');
\set VERBOSITY sqlstate
RESET SESSION AUTHORIZATION;

-- a call within a call: for the same user or not at all
CREATE OR REPLACE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'acts for %, whose other key is %', key_vault.current_user_id(), key_vault.get(NULL, 'serper');
    BEGIN
        PERFORM key_vault.get('user_c', 'serper');
        RAISE 'got the key of another user';
    EXCEPTION WHEN insufficient_privilege THEN
    END;
    RAISE WARNING 'still acts for %', key_vault.current_user_id();
    RETURN true;
END $$;
SET SESSION AUTHORIZATION regress_kv_service;
\set VERBOSITY terse
SELECT key_vault.get('user_a', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.get('user_b', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.set('user_b', 'exa', 'user_b/' || repeat('x', 20)), key_vault.current_user_id() IS NULL AS none;
\set VERBOSITY sqlstate
RESET SESSION AUTHORIZATION;

-- an error within a call, in code that is not ours
CREATE OR REPLACE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'KVTST'; END $$;
SET SESSION AUTHORIZATION regress_kv_service;
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['get(''user_a'', ''exa'')', 'require(''user_a'', ''exa'')', 'lookup(''user_a'', ''exa'')', 'get_all(''user_a'')', 'source(''user_a'', ''exa'')', 'list(''user_a'')',
        'versions(''user_a'', ''exa'')', 'set(''user_a'', ''exa'', repeat(''n'', 20))', 'delete(''user_a'', ''exa'')', 'forget(''user_a'')', 'rollback(''user_a'', ''exa'', 1)'] LOOP
        BEGIN
            EXECUTE 'SELECT * FROM key_vault.' || statement;
            RAISE '% did not fail', statement;
        EXCEPTION WHEN SQLSTATE 'KVTST' THEN
            ASSERT key_vault.current_user_id() IS NULL, statement;
            ASSERT current_user = 'regress_kv_service' AND session_user = 'regress_kv_service', statement;
        END;
    END LOOP;
END $$;
SELECT key_vault.get('user_a', 'serper'), key_vault.current_user_id() IS NULL AS none;
RESET SESSION AUTHORIZATION;
DROP POLICY note ON key_vault_data.secrets;
DROP FUNCTION note_identity;

-- the identity of a role
ALTER ROLE regress_kv_user SET key_vault.user_id = 'user_b';
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_kv_user'::regrole;
SET ROLE regress_kv_user;
ALTER ROLE regress_kv_user SET key_vault.user_id = 'user_a';
ALTER ROLE regress_kv_user RESET key_vault.user_id;
ALTER ROLE regress_kv_service SET key_vault.user_id = 'user_a';
RESET ROLE;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_kv_user'::regrole;

SELECT key_vault.revoke_access('regress_kv_service'), key_vault.revoke_access('regress_kv_user');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_service, regress_kv_user;
