-- A setting that only privileged roles may change cannot be had by attaching it to a function, a
-- role or a database.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user CREATEDB CREATEROLE;
CREATE ROLE regress_kv_service;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service');
SELECT key_vault.set(u, 'exa', u || '/' || repeat('x', 12)) FROM unnest('{user_a,user_b}'::text[]) u;
CREATE SCHEMA regress_kv_own;
GRANT ALL ON SCHEMA regress_kv_own TO PUBLIC;

SET SESSION AUTHORIZATION regress_kv_user;
CREATE FUNCTION regress_kv_own.f() RETURNS text LANGUAGE sql SET key_vault.user_id = 'user_a' AS $$ SELECT key_vault.get(NULL, 'exa') $$;
CREATE FUNCTION regress_kv_own.f() RETURNS text LANGUAGE sql SET "KEY_VAULT.User_Id" = 'user_a' AS $$ SELECT key_vault.get(NULL, 'exa') $$;
CREATE FUNCTION regress_kv_own.f() RETURNS text LANGUAGE sql SET key_vault.user_id FROM CURRENT AS $$ SELECT key_vault.get(NULL, 'exa') $$;
CREATE PROCEDURE regress_kv_own.p() LANGUAGE plpgsql SET key_vault.user_id = 'user_a' AS $$ BEGIN RAISE WARNING '%', key_vault.get(NULL, 'exa'); END $$;
CREATE FUNCTION regress_kv_own.f() RETURNS text LANGUAGE sql AS $$ SELECT key_vault.get(NULL, 'exa') $$;
ALTER FUNCTION regress_kv_own.f SET key_vault.user_id = 'user_a';
ALTER FUNCTION regress_kv_own.f SET key_vault.user_id TO DEFAULT;
ALTER FUNCTION regress_kv_own.f SET key_vault.hint = 'none';
ALTER FUNCTION regress_kv_own.f SET key_vault.keep_versions = 0;
ALTER FUNCTION regress_kv_own.f SET key_vault.keyring_file = '/tmp/x';
ALTER FUNCTION regress_kv_own.f SET key_vault.nonsense = '/tmp/x';
SELECT proconfig FROM pg_proc WHERE pronamespace = 'regress_kv_own'::regnamespace;
SELECT regress_kv_own.f();
-- at run time too
DO $$ BEGIN SET key_vault.user_id = 'user_a'; END $$;
DO $$ BEGIN PERFORM set_config('Key_Vault.User_ID', 'user_a', true); END $$;

-- their own role, one that they made, a database of theirs
ALTER ROLE regress_kv_user SET key_vault.user_id = 'user_a';
ALTER ROLE CURRENT_USER IN DATABASE template1 SET key_vault.user_id = 'user_a';
ALTER ROLE ALL SET key_vault.user_id = 'user_a';
CREATE ROLE regress_kv_made;
ALTER ROLE regress_kv_made SET key_vault.user_id = 'user_a';
ALTER ROLE regress_kv_made SET key_vault.hint = 'none';
DROP ROLE regress_kv_made;
RESET SESSION AUTHORIZATION;
CREATE DATABASE regress_kv_theirs OWNER regress_kv_user;
SET SESSION AUTHORIZATION regress_kv_user;
ALTER DATABASE regress_kv_theirs SET key_vault.user_id = 'user_a';
ALTER DATABASE regress_kv_theirs SET key_vault.mode = 'development';
ALTER DATABASE regress_kv_theirs SET key_vault.dotenv_file = '/tmp/.env';
ALTER SYSTEM SET key_vault.user_id = 'user_a';
ALTER SYSTEM SET key_vault.mode = 'development';
RESET SESSION AUTHORIZATION;
DROP DATABASE regress_kv_theirs;
SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) entry WHERE entry ~* 'key_vault';

-- who may set it may attach it
SET SESSION AUTHORIZATION regress_kv_service;
CREATE FUNCTION regress_kv_own.g() RETURNS text LANGUAGE sql SET key_vault.user_id = 'user_a' AS $$ SELECT key_vault.get(NULL, 'exa') $$;
SELECT regress_kv_own.g();
SELECT key_vault.current_user_id() IS NULL AS none;
CREATE FUNCTION regress_kv_own.h() RETURNS text LANGUAGE plpgsql SET key_vault.user_id = 'user_a' AS $$ BEGIN RETURN key_vault.get('user_b', 'exa'); END $$;
SELECT regress_kv_own.h();
SELECT key_vault.current_user_id() IS NULL AS none;
RESET SESSION AUTHORIZATION;
-- and it is set with the rights of the one who calls
SET SESSION AUTHORIZATION regress_kv_user;
SELECT regress_kv_own.g();
RESET SESSION AUTHORIZATION;
ALTER FUNCTION regress_kv_own.g SECURITY DEFINER;
SET SESSION AUTHORIZATION regress_kv_user;
SELECT regress_kv_own.g();
SELECT key_vault.current_user_id() IS NULL AS none;
RESET SESSION AUTHORIZATION;

SELECT key_vault.revoke_access('regress_kv_service');
DROP SCHEMA regress_kv_own CASCADE;
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service;
