-- Writes run as the extension's owner for as long as a statement takes: whatever goes wrong in it,
-- the caller is who they were, and so is the user who is acted for.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_kv_owner;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_pool;
GRANT regress_kv_service, regress_kv_user TO regress_kv_pool;
SELECT key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.set(u, p, u || '/' || p || '/' || repeat('x', 12)) FROM unnest('{user_a,user_b}'::text[]) u, unnest('{exa,serper}'::text[]) p;
SELECT key_vault.set('user_a', 'exa', repeat('2', 20));
SELECT current_user AS me \gset

-- who is who within the switch: a trigger of the DBA's tells
CREATE TABLE seen (who name, session name, acts_for text, operation text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen VALUES (current_user, session_user, key_vault.current_user_id(), TG_OP);
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER tell BEFORE INSERT OR UPDATE OR DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION tell();
SET SESSION AUTHORIZATION regress_kv_pool;
SET ROLE regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('3', 20)), key_vault.delete('user_a', 'serper'), key_vault.forget('user_b');
SELECT current_user, session_user, key_vault.current_user_id() IS NULL AS none;
RESET SESSION AUTHORIZATION;
SELECT who = :'me' AS by_the_owner, session, acts_for, operation FROM seen ORDER BY ctid;
DROP TRIGGER tell ON key_vault_data.secrets;
DROP FUNCTION tell;

-- an error within it
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'KVTST'; END $$;
CREATE TRIGGER fail BEFORE INSERT OR DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION fail();
SET SESSION AUTHORIZATION regress_kv_pool;
SET ROLE regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
SELECT current_user, session_user, key_vault.current_user_id() IS NULL AS none;
-- what only a superuser may do is not to be had now
SELECT pg_read_file('postgresql.conf');
SELECT count(*) FROM key_vault_data.own_providers;
SELECT key_vault.delete('user_a', 'exa');
SELECT current_user, session_user, key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.forget('user_a');
SELECT current_user, session_user, key_vault.current_user_id() IS NULL AS none;
-- in a block of plpgsql, which goes on after it
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['SELECT key_vault.set(''user_a'', ''exa'', repeat(''n'', 20))', 'SELECT key_vault.delete(''user_a'', ''exa'')', 'SELECT key_vault.forget(''user_a'')',
        'SELECT key_vault.rollback(''user_a'', ''exa'', 2)', 'SELECT key_vault.set(''user_c'', ''exa'', repeat(''n'', 20))'] LOOP
        BEGIN
            EXECUTE statement;
            RAISE '% did not fail', statement;
        EXCEPTION WHEN SQLSTATE 'KVTST' THEN
            ASSERT current_user = 'regress_kv_service', current_user;
            ASSERT session_user = 'regress_kv_pool', session_user;
            ASSERT key_vault.current_user_id() IS NULL, key_vault.current_user_id();
        END;
        BEGIN
            PERFORM pg_read_file('postgresql.conf');
            RAISE 'a superuser''s right after %', statement;
        EXCEPTION WHEN insufficient_privilege THEN
        END;
        ASSERT key_vault.get('user_a', 'exa') = repeat('3', 20);
    END LOOP;
END $$;
-- within an identity
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SAVEPOINT s;
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
ROLLBACK TO s;
SELECT current_user, key_vault.current_user_id(), key_vault.get(NULL, 'exa') = repeat('3', 20) AS same;
SET LOCAL ROLE regress_kv_user;
SAVEPOINT s;
SELECT key_vault.set(NULL, 'exa', repeat('4', 20));
ROLLBACK TO s;
SELECT current_user, key_vault.current_user_id(), key_vault.get(NULL, 'exa') = repeat('3', 20) AS same;
COMMIT;
-- a function with its owner's rights around it
RESET SESSION AUTHORIZATION;
CREATE FUNCTION around() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM key_vault.set('user_a', 'exa', repeat('4', 20));
    RETURN 'it did not fail';
EXCEPTION WHEN SQLSTATE 'KVTST' THEN
    RETURN current_user;
END $$;
ALTER FUNCTION around OWNER TO regress_kv_service;
SET SESSION AUTHORIZATION regress_kv_user;
SELECT around(), current_user;
RESET SESSION AUTHORIZATION;
DROP FUNCTION around;
DROP TRIGGER fail ON key_vault_data.secrets;
DROP FUNCTION fail;

-- a trigger that leaves rows out, or makes others of them
CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER leave_out BEFORE INSERT OR DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION leave_out();
SET SESSION AUTHORIZATION regress_kv_service;
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
\set VERBOSITY sqlstate
SELECT key_vault.rollback('user_a', 'exa', 2);
SELECT key_vault.delete('user_a', 'exa');
SELECT current_user, key_vault.current_user_id() IS NULL AS none, key_vault.get('user_a', 'exa') = repeat('3', 20) AS same;
RESET SESSION AUTHORIZATION;
DROP TRIGGER leave_out ON key_vault_data.secrets;
DROP FUNCTION leave_out;
CREATE FUNCTION make_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.user_id := 'user_b'; RETURN NEW; END $$;
CREATE TRIGGER make_other BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION make_other();
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
RESET SESSION AUTHORIZATION;
DROP TRIGGER make_other ON key_vault_data.secrets;
DROP FUNCTION make_other;

-- in a read-only transaction: an error, whatever there is to do
BEGIN READ ONLY;
SAVEPOINT s;
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
ROLLBACK TO s;
SELECT key_vault.rollback('user_a', 'exa', 2);
ROLLBACK TO s;
SELECT key_vault.delete('user_a', 'groq');
ROLLBACK TO s;
SELECT key_vault.forget('user_c');
ROLLBACK TO s;
SELECT key_vault.create_root_key();
ROLLBACK TO s;
SELECT current_user = :'me' AS still_me, key_vault.get('user_a', 'exa') = repeat('3', 20) AS same;
COMMIT;

-- an error, or a call within the call, in our own policy: on the straight way
CREATE TABLE todo (what text);
INSERT INTO todo VALUES ('nothing');
GRANT SELECT, UPDATE ON todo TO PUBLIC;
CREATE FUNCTION policy_calls() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    CASE (SELECT what FROM todo)
        WHEN 'fail' THEN RAISE EXCEPTION USING ERRCODE = 'KVTST';
        WHEN 'call' THEN
            UPDATE todo SET what = 'nothing';
            ASSERT key_vault.get(NULL, 'exa') = repeat('3', 20);
        ELSE NULL;
    END CASE;
    RETURN true;
END $$;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND policy_calls());
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.get('user_a', 'exa') = repeat('3', 20) AS same;
UPDATE todo SET what = 'fail';
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.set('user_a', 'exa', repeat('4', 20));
UPDATE todo SET what = 'nothing';
SELECT key_vault.get('user_a', 'exa') = repeat('3', 20) AS same, current_user, key_vault.current_user_id() IS NULL AS none;
UPDATE todo SET what = 'call';
SELECT key_vault.get('user_a', 'exa') = repeat('3', 20) AS same, (SELECT what FROM todo);
UPDATE todo SET what = 'call';
SELECT key_vault.get_all('user_a') ->> 'exa' = repeat('3', 20) AS same;
RESET SESSION AUTHORIZATION;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());
DROP FUNCTION policy_calls;
DROP TABLE todo;

-- what goes on as the owner cannot change who the session is, or lay out anything for later
CREATE FUNCTION escape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE (SELECT statement FROM escape);
    RETURN NEW;
END $$;
CREATE TABLE escape (statement text);
CREATE TRIGGER escape AFTER INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION escape();
CREATE FUNCTION try(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.set('user_a', 'exa', repeat('5', 20));
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
INSERT INTO escape VALUES ('SET ROLE regress_kv_owner');
SET SESSION AUTHORIZATION regress_kv_service;
SELECT try('set role'), current_user;
RESET SESSION AUTHORIZATION;
UPDATE escape SET statement = 'SET SESSION AUTHORIZATION regress_kv_owner';
SET SESSION AUTHORIZATION regress_kv_service;
SELECT try('set session authorization'), current_user, session_user;
RESET SESSION AUTHORIZATION;
UPDATE escape SET statement = 'CREATE TEMP TABLE for_later (i int)';
SET SESSION AUTHORIZATION regress_kv_service;
SELECT try('temporary table'), to_regclass('pg_temp.for_later');
RESET SESSION AUTHORIZATION;
UPDATE escape SET statement = 'DECLARE for_later CURSOR WITH HOLD FOR SELECT rolpassword FROM pg_authid';
SET SESSION AUTHORIZATION regress_kv_service;
SELECT try('cursor'), (SELECT count(*) FROM pg_cursors WHERE name = 'for_later');
RESET SESSION AUTHORIZATION;
DROP TRIGGER escape ON key_vault_data.secrets;
DROP FUNCTION escape, try;

-- a policy is run as the caller, not as the owner
CREATE FUNCTION who() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (current_user, session_user, key_vault.current_user_id(), 'POLICY'); RETURN true; END $$;
GRANT INSERT ON seen TO PUBLIC;
TRUNCATE seen;
CREATE POLICY who ON key_vault_data.secrets AS RESTRICTIVE USING (who());
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('6', 20)), key_vault.get('user_a', 'exa') = repeat('6', 20) AS same, key_vault.delete('user_a', 'exa');
RESET SESSION AUTHORIZATION;
SELECT DISTINCT who, session, acts_for FROM seen;
DROP POLICY who ON key_vault_data.secrets;
DROP FUNCTION who;

DROP TABLE seen, escape;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_owner, regress_kv_service, regress_kv_user, regress_kv_pool;
