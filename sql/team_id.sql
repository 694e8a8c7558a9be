-- The setting key_vault.team_id: who may change it, how it ends, what it may be.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.set(u, 'exa', u || '/' || repeat('x', 20)) FROM unnest('{user_a,team:acme,team:other}'::text[]) u;

SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.current_team_id() IS NULL AS none, current_setting('key_vault.team_id') = '' AS empty;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.current_team_id(), key_vault.current_user_id() IS NULL AS no_user;
SAVEPOINT s;
SET LOCAL key_vault.team_id = 'other';
SELECT key_vault.current_team_id();
ROLLBACK TO s;
SELECT key_vault.current_team_id();
COMMIT;
SELECT key_vault.current_team_id() IS NULL AS none;
SELECT set_config('key_vault.team_id', 'acme', true), key_vault.current_team_id();
SELECT key_vault.current_team_id() IS NULL AS none;
SET key_vault.team_id = 'acme';
RESET ALL;
SELECT key_vault.current_team_id() IS NULL AS none;
SET key_vault.team_id = 'acme';
DISCARD ALL;
SELECT key_vault.current_team_id() IS NULL AS none;
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.team_id = 'acme';
SET key_vault.team_id = '';
SELECT key_vault.current_team_id() IS NULL AS none;

-- byte for byte, and as long as "team:" before it leaves room for
SET key_vault.team_id = ' Acme''s ☃ ';
SELECT '<' || key_vault.current_team_id() || '>';
SELECT set_config('key_vault.team_id', repeat('t', 250), false) IS NOT NULL AS just_fits;
SELECT octet_length(key_vault.current_team_id());
\set VERBOSITY default
SELECT set_config('key_vault.team_id', repeat('t', 251), false);
SELECT set_config('key_vault.team_id', repeat('☃', 84), false);
-- the team's own id, without what stands before it in a user id
SET key_vault.team_id = 'team:acme';
-- a user id that names a team, but none
SET key_vault.user_id = 'team:';
SELECT key_vault.get('team:', 'exa');
\set VERBOSITY sqlstate
SELECT key_vault.set('team:', 'exa', repeat('x', 20));
SELECT key_vault.set('team', 'exa', repeat('x', 20)), key_vault.delete('team', 'exa');
RESET key_vault.team_id;

-- a team is an owner like any other: for a service without an identity, and with the team's
SELECT key_vault.get('team:acme', 'exa');
BEGIN;
SET LOCAL key_vault.user_id = 'team:acme';
SELECT key_vault.get(NULL, 'exa'), key_vault.get('team:acme', 'exa');
SELECT key_vault.get('team:other', 'exa');
ROLLBACK;
-- the transaction's team alone, when it has one
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.get('team:acme', 'exa'), key_vault.get('user_a', 'exa');
\set VERBOSITY default
SELECT key_vault.get('team:other', 'exa');
ROLLBACK;
\set VERBOSITY sqlstate
DO $$
DECLARE
    owner text;
BEGIN
    SET LOCAL key_vault.team_id = 'acme';
    FOREACH owner IN ARRAY ARRAY['team:acm', 'team:acmee', 'team:Acme', 'team: acme', 'team:acme '] LOOP
        BEGIN
            PERFORM key_vault.get(owner, 'exa');
            RAISE 'get for "%"', owner;
        EXCEPTION WHEN insufficient_privilege THEN
        END;
    END LOOP;
    PERFORM key_vault.get('team', 'exa'), key_vault.get('Team:other', 'exa'), key_vault.get(' team:other', 'exa');
END $$;
\set VERBOSITY default
-- and not for a member
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.get('team:acme', 'exa');
\set VERBOSITY sqlstate
ROLLBACK;
DO $$
DECLARE
    statement text;
BEGIN
    SET LOCAL key_vault.team_id = 'acme';
    SET LOCAL key_vault.user_id = 'user_a';
    FOREACH statement IN ARRAY ARRAY[
        'get(%L, ''exa'')', 'require(%L, ''exa'')', 'lookup(%L, ''exa'')', 'get_all(%L)', 'source(%L, ''exa'')', 'list(%L)', 'versions(%L, ''exa'')', 'onboarding(%L)',
        'set(%L, ''exa'', repeat(''n'', 20))', 'delete(%L, ''exa'')', 'forget(%L)', 'rollback(%L, ''exa'', 1)', 'record_usage(%L, ''exa'')',
        'import_dotenv(%L, ''EXA_API_KEY=nnnnnnnnnnnnnnnnnnnn'')'] LOOP
        FOR statement IN SELECT format('SELECT * FROM key_vault.' || statement, owner) FROM unnest('{team:acme,team:other,acme,team:,team:ACME}'::text[]) owner LOOP
            BEGIN
                EXECUTE statement;
                RAISE '% was not refused', statement;
            EXCEPTION WHEN insufficient_privilege OR invalid_parameter_value THEN
            END;
        END LOOP;
    END LOOP;
END $$;
RESET SESSION AUTHORIZATION;

-- level user may not change it, but be given one
SET SESSION AUTHORIZATION regress_kv_user;
SET key_vault.team_id = 'acme';
SET LOCAL key_vault.team_id = 'acme';
SELECT set_config('key_vault.team_id', 'acme', true);
RESET key_vault.team_id;
UPDATE pg_settings SET setting = 'acme' WHERE name = 'key_vault.team_id';
ALTER ROLE regress_kv_user SET key_vault.team_id = 'acme';
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET key_vault.team_id = 'acme' AS $$ SELECT key_vault.get(NULL, 'exa') $$;
SELECT key_vault.get('team:acme', 'exa');
RESET SESSION AUTHORIZATION;

SET jit = off;
-- status() names who has one
ALTER ROLE regress_kv_user SET key_vault.team_id = 'acme';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET key_vault.team_id = ''acme''', current_database()); END $$;
SELECT state, detail, remedy FROM key_vault.status() WHERE item = 'role_settings';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET key_vault.team_id', current_database()); END $$;
ALTER ROLE regress_kv_user RESET key_vault.team_id;
-- SET on one of the two parameters makes half a service
REVOKE SET ON PARAMETER key_vault.team_id FROM regress_kv_service;
SELECT role, level, complete, missing, extra FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' ORDER BY role;
REVOKE SET ON PARAMETER key_vault.user_id FROM regress_kv_service;
GRANT SET ON PARAMETER key_vault.team_id TO regress_kv_service;
SELECT role, level, complete, missing, extra FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' ORDER BY role;
SELECT key_vault.grant_access('regress_kv_service', 'service');
SELECT role, level, complete, missing, extra FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' ORDER BY role;
SET client_min_messages = notice;
\set VERBOSITY terse
SELECT key_vault.revoke_access('regress_kv_service');
-- and after the extension has gone both have to be taken back
SET client_min_messages = warning;
SELECT key_vault.grant_access('regress_kv_service', 'service');
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id FROM regress_kv_service;
\set VERBOSITY sqlstate
DROP ROLE regress_kv_service;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_service;
DROP ROLE regress_kv_service, regress_kv_user;
