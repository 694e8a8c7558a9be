-- What a level holds is for nobody to widen: not for who writes to every table, who owns the
-- database, who makes roles, or who lays out names before ours.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_writer;
CREATE ROLE regress_kv_owner;
CREATE ROLE regress_kv_maker CREATEROLE;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_next;
GRANT pg_write_all_data, pg_read_all_data TO regress_kv_writer;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_kv_owner', current_database()); END $$;
SELECT key_vault.grant_access('regress_kv_writer', 'user'), key_vault.grant_access('regress_kv_owner', 'user'), key_vault.grant_access('regress_kv_service', 'service');

-- what a level gives: the rights of a role that is given it next, and no others
CREATE TABLE level_before (level_name text, object text, privilege text);
CREATE FUNCTION note_levels() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    level_name text;
BEGIN
    CREATE TEMP TABLE noted (level_name text, object text, privilege text);
    FOREACH level_name IN ARRAY '{user,service,admin,monitor}'::text[] LOOP
        PERFORM key_vault.grant_access('regress_kv_next', level_name);
        INSERT INTO noted SELECT level_name, o.object, a.privilege_type
            FROM (SELECT oid::regclass::text, relacl FROM pg_class UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc
                  UNION ALL SELECT nspname::text, nspacl FROM pg_namespace UNION ALL SELECT parname, paracl FROM pg_parameter_acl) AS o (object, acl), aclexplode(o.acl) a
            WHERE a.grantee = 'regress_kv_next'::regrole;
    END LOOP;
    PERFORM key_vault.revoke_access('regress_kv_next');
END $$;
SELECT note_levels();
INSERT INTO level_before SELECT * FROM noted;
DROP TABLE noted;
SELECT count(DISTINCT level_name) AS levels, count(*) > 50 AS have_rights FROM level_before;

-- one who writes to every table: each of ours, and the view
SET ROLE regress_kv_writer;
DO $$
DECLARE
    target regclass;
    columns text;
BEGIN
    FOR target, columns IN
        SELECT c.oid, string_agg(quote_ident(attname) || ' = ''user''', ', ')
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute ON attrelid = c.oid
        WHERE nspname LIKE 'key\_vault%' AND relkind IN ('r', 'v') AND relname NOT LIKE 'audit%' AND attname IN ('level', 'levels', 'privilege', 'role') GROUP BY c.oid
    LOOP
        BEGIN
            EXECUTE format('UPDATE %s SET %s', target, columns);
            RAISE WARNING 'updated %', target;
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE 'not updated: %', target;
        END;
    END LOOP;
END $$;
INSERT INTO key_vault.access (role, level) VALUES ('regress_kv_writer', 'service');
SELECT key_vault.grant_access('regress_kv_writer', 'admin');
SELECT * FROM key_vault.level_rights();
CREATE OR REPLACE FUNCTION key_vault.level_rights() RETURNS TABLE (privilege text, levels text[]) LANGUAGE sql AS $$ SELECT NULL::text, NULL::text[] $$;
RESET ROLE;
SELECT note_levels();
(TABLE noted EXCEPT TABLE level_before) UNION ALL (TABLE level_before EXCEPT TABLE noted);
DROP TABLE noted;

-- the database's owner: what everybody's session has, and objects of their own
SET ROLE regress_kv_owner;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = regress_kv_evil, pg_catalog', current_database()); END $$;
CREATE SCHEMA regress_kv_evil;
CREATE FUNCTION regress_kv_evil.aclexplode(acl aclitem[], OUT grantor oid, OUT grantee oid, OUT privilege_type text, OUT is_grantable bool) RETURNS SETOF record
    LANGUAGE sql AS $$ SELECT 10::oid, 10::oid, 'SELECT'::text, true $$;
CREATE FUNCTION regress_kv_evil.level_rights() RETURNS TABLE (privilege text, levels text[]) LANGUAGE sql AS $$ SELECT 'SELECT ON TABLE key_vault.inventory', '{user}'::text[] $$;
GRANT ALL ON SCHEMA regress_kv_evil TO PUBLIC;
GRANT SELECT ON key_vault.inventory TO regress_kv_owner;
GRANT EXECUTE ON FUNCTION key_vault.get TO PUBLIC;
ALTER SCHEMA key_vault OWNER TO regress_kv_owner;
ALTER SCHEMA key_vault RENAME TO mine;
DROP EXTENSION key_vault;
SELECT key_vault.grant_access('regress_kv_owner', 'admin');
RESET ROLE;
\c -
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SHOW search_path;
-- which of the rights a role has is asked for by names that nobody can lay before
SELECT key_vault.grant_access('regress_kv_next', 'admin'), key_vault.grant_access('regress_kv_next', 'user');
SELECT level, complete, missing, extra FROM key_vault.access WHERE role OPERATOR(pg_catalog.=) 'regress_kv_next';
SELECT key_vault.revoke_access('regress_kv_next');
SELECT public.note_levels();
(TABLE noted EXCEPT TABLE public.level_before) UNION ALL (TABLE public.level_before EXCEPT TABLE noted);
SELECT role, level, complete, missing, extra FROM key_vault.access WHERE role OPERATOR(pg_catalog.~) '^regress_kv_|^PUBLIC' ORDER BY role;
DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I RESET search_path', pg_catalog.current_database()); END $$;
SET search_path = "$user", public;

-- one who makes roles gives no level.  Whether it can become a member of a service role is
-- PostgreSQL's to say: up to 15 of any role that is no superuser, from 16 on of those it made.
SET ROLE regress_kv_maker;
SELECT key_vault.grant_access('regress_kv_maker', 'user');
GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_maker;
ALTER ROLE regress_kv_maker SET key_vault.user_id = 'victim';
ALTER ROLE regress_kv_maker BYPASSRLS;
DO $$
BEGIN
    GRANT regress_kv_service TO regress_kv_maker;
    ASSERT current_setting('server_version_num')::int < 160000, 'CREATEROLE reaches a role that another made';
EXCEPTION WHEN insufficient_privilege THEN
    ASSERT current_setting('server_version_num')::int >= 160000, 'CREATEROLE does not reach every role';
END $$;
RESET ROLE;
SELECT role, level FROM key_vault.access WHERE role = 'regress_kv_maker';

DROP FUNCTION note_levels;
DROP TABLE level_before;
DROP SCHEMA regress_kv_evil CASCADE;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO CURRENT_USER', current_database()); END $$;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP OWNED BY regress_kv_owner, regress_kv_writer, regress_kv_maker;
DROP ROLE regress_kv_writer, regress_kv_owner, regress_kv_maker, regress_kv_service, regress_kv_next;
