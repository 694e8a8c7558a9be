-- Teams: a team's key serves those of its members who have none of their own.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_user', 'user');
GRANT regress_kv_user TO regress_kv_service;

-- a team of three, one of whom has a key of her own
SELECT key_vault.set('team:acme', p, 'of-team-acme-' || p || repeat('x', 8)) FROM unnest('{exa,serper}'::text[]) p;
SELECT key_vault.set('team:other', 'exa', 'of-team-other-exa'), key_vault.set('team:acme', 'exa', 'of-team-acme-for-work', 'work');
SELECT key_vault.set('ada', 'exa', 'of-ada-exa-xxxxxxxx'), key_vault.set('ada', 'groq', 'gsk_of-ada-groq-xxxxxxxx');

SET SESSION AUTHORIZATION regress_kv_service;
CREATE TEMP TABLE member (name text, team text, id int GENERATED ALWAYS AS IDENTITY);
INSERT INTO member (name, team) VALUES ('ada', 'acme'), ('bob', 'acme'), ('cem', 'acme'), ('ada', ''), ('bob', ''), ('bob', 'other'), ('bob', 'Acme'), ('bob', 'acm'), ('bob', 'acmee');
GRANT SELECT ON member TO regress_kv_user;
SET client_min_messages = error; -- Citus, where it is installed, warns of what is in pg_temp
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
-- by the identity, whoever reads, and by naming the user where there is none
CREATE FUNCTION pg_temp.seen(role_name name, identity text, team text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('key_vault.user_id', identity, true), set_config('key_vault.team_id', team, true);
    EXECUTE format('SET LOCAL ROLE %I', role_name);
    result := pg_temp.try('SELECT key_vault.' || call);
    RESET ROLE;
    RETURN result;
END $$;
SET client_min_messages = warning;
BEGIN;
SELECT name, team, pg_temp.seen('regress_kv_user', name, team, 'get(NULL, ''exa'')') AS exa, pg_temp.seen('regress_kv_user', name, team, 'source(NULL, ''exa'')') AS source,
       pg_temp.seen('regress_kv_user', name, team, 'get(NULL, '' EXA '')') AS spelled, pg_temp.seen('regress_kv_user', name, team, 'require(NULL, ''serper'')') AS serper, pg_temp.seen('regress_kv_user', name, team, 'get(NULL, ''exa'', ''work'')') AS work,
       pg_temp.seen('regress_kv_user', name, team, 'get_all(NULL)') AS all
FROM member ORDER BY id;
SELECT count(*) AS differ FROM member, unnest('{get,require,lookup,source,get_all}'::text[]) f, unnest('{exa,serper,groq}'::text[]) p, LATERAL (SELECT f || '(%L' || CASE f WHEN 'get_all' THEN ')' ELSE format(', %L)', p) END AS call) c
WHERE pg_temp.seen('regress_kv_user', name, team, format(call, NULL)) IS DISTINCT FROM pg_temp.seen('regress_kv_service', '', team, format(call, name))
   OR pg_temp.seen('regress_kv_user', name, team, format(call, NULL)) IS DISTINCT FROM pg_temp.seen('regress_kv_user', name, team, format(call, name));
-- without a user there is none for whom a team's key would serve
SELECT pg_temp.seen('regress_kv_service', '', 'acme', 'get(NULL, ''exa'')') AS no_user, pg_temp.seen('regress_kv_service', '', 'acme', 'get_all(NULL)') AS no_user_all,
       pg_temp.seen('regress_kv_user', '', 'acme', 'get(NULL, ''exa'')') AS level_user, pg_temp.seen('regress_kv_user', '', 'acme', 'get(''bob'', ''exa'')') AS bob, pg_temp.seen('regress_kv_user', '', 'acme', 'get(''team:acme'', ''exa'')') AS team;
-- a team is no member of another
SELECT pg_temp.seen('regress_kv_user', 'team:other', 'acme', 'get(NULL, ''exa'')') AS own, pg_temp.seen('regress_kv_user', 'team:other', 'acme', 'get(NULL, ''serper'')') AS of_acme,
       pg_temp.seen('regress_kv_user', 'team:acme', 'acme', 'source(NULL, ''exa'')') AS source, pg_temp.seen('regress_kv_user', 'team:acme', '', 'source(NULL, ''exa'')') AS source, pg_temp.seen('regress_kv_user', 'team:nobody', 'acme', 'get(NULL, ''exa'')') AS nobody;
COMMIT;

-- what a member is told
\set VERBOSITY default
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SAVEPOINT s;
SELECT key_vault.require('bob', 'groq');
ROLLBACK TO s;
SELECT key_vault.require('team:acme', 'groq');
ROLLBACK TO s;
SELECT provider, required, configured, source, hint, missing FROM key_vault.onboarding('bob');
SELECT provider, required, configured, source, hint, missing FROM key_vault.onboarding('ada');
SELECT provider, configured, source FROM key_vault.onboarding('team:acme') WHERE configured;
COMMIT;

-- a key of one's own that has expired is not replaced unasked
SELECT key_vault.set('bob', 'exa', 'of-bob-exa-xxxxxxxx', expires_at => clock_timestamp() + interval '10 ms'), pg_sleep(0.02) IS NOT NULL AS waited;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.get('bob', 'exa') IS NULL AS none, key_vault.source('bob', 'exa') IS NULL AS nowhere, key_vault.get_all('bob');
SELECT provider, configured, source, hint, missing FROM key_vault.onboarding('bob') WHERE provider = 'exa';
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT key_vault.require('bob', 'exa');
ROLLBACK TO s;
\set VERBOSITY terse
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM key_vault.require('bob', 'exa');
EXCEPTION WHEN no_data_found THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING '%', regexp_replace(detail, 'since \S+ \S+', 'since (a time).');
END $$;
SELECT key_vault.delete('bob', 'exa'), key_vault.get('bob', 'exa'), key_vault.source('bob', 'exa');
COMMIT;
-- and the team's that has expired serves nobody
SELECT key_vault.set('team:acme', 'cohere', 'of-team-acme-cohere', expires_at => clock_timestamp() + interval '10 ms'), pg_sleep(0.02) IS NOT NULL AS waited;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.get('bob', 'cohere') IS NULL AS none, key_vault.source('bob', 'cohere') IS NULL AS nowhere, key_vault.get_all('bob') ? 'cohere' AS in_all;
SELECT provider, configured, source, missing FROM key_vault.onboarding('bob') WHERE provider = 'cohere';
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM key_vault.require('bob', 'cohere');
EXCEPTION WHEN no_data_found THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING '%', regexp_replace(detail, 'since \S+ \S+', 'since (a time).');
END $$;
COMMIT;
\set VERBOSITY sqlstate

-- one that does not open is an error, and never the team's instead
RESET SESSION AUTHORIZATION;
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'ada' AND provider = 'exa';
SET SESSION AUTHORIZATION regress_kv_service;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT pg_temp.try('SELECT key_vault.get(''ada'', ''exa'')') AS get, pg_temp.try('SELECT key_vault.require(''ada'', ''exa'')') AS require, key_vault.source('ada', 'exa');
SELECT key_vault.get_all('ada');
SELECT provider, configured, source, missing FROM key_vault.onboarding('ada') WHERE provider = 'exa';
COMMIT;
-- the team's own, too
RESET SESSION AUTHORIZATION;
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'team:acme' AND provider = 'serper';
SET SESSION AUTHORIZATION regress_kv_service;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT pg_temp.try('SELECT key_vault.get(''bob'', ''serper'')') AS get, pg_temp.try('SELECT key_vault.require(''bob'', ''serper'')') AS require, key_vault.source('bob', 'serper');
SELECT key_vault.get_all('bob');
SELECT provider, configured, source, missing FROM key_vault.onboarding('bob') WHERE provider = 'serper';
COMMIT;
-- a row of the team's that was made a member's does not open
RESET SESSION AUTHORIZATION;
BEGIN;
UPDATE key_vault_data.secrets SET user_id = 'cem' WHERE user_id = 'team:acme' AND provider = 'exa';
SELECT key_vault.get('cem', 'exa');
ROLLBACK;
SELECT key_vault.set('team:acme', 'serper', 'of-team-acme-serper-again'), key_vault.set('ada', 'exa', 'of-ada-exa-again-xx');

-- all else is for the owner that the call names
SET SESSION AUTHORIZATION regress_kv_service;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SET LOCAL key_vault.user_id = 'bob';
SELECT count(*) AS listed FROM key_vault.list(NULL);
SELECT count(*) AS versions FROM key_vault.versions(NULL, 'exa');
SELECT key_vault.delete(NULL, 'exa'), pg_temp.try('SELECT key_vault.rollback(NULL, ''exa'', 1)') AS rollback;
SELECT key_vault.set(NULL, 'exa', 'of-bob-exa-xxxxxxxx', if_version => 0), key_vault.get(NULL, 'exa'), key_vault.source(NULL, 'exa');
SELECT key_vault.delete(NULL, 'exa'), key_vault.get(NULL, 'exa'), key_vault.source(NULL, 'exa');
SELECT key_vault.set(NULL, 'exa', 'of-bob-exa-xxxxxxxx'), key_vault.forget(NULL);
SELECT key_vault.get(NULL, 'exa'), key_vault.current_user_id(), key_vault.current_team_id();
-- views show the identity's rows
SELECT count(*) AS secrets FROM key_vault.secrets;
SELECT count(*) AS api_keys FROM key_vault.api_keys;
SELECT count(*) AS onboarding_sessions FROM key_vault.onboarding_sessions;
ROLLBACK;

-- a team's keys are changed as any owner's
SELECT key_vault.set('team:acme', 'exa', 'of-team-acme-exa-2nd'), key_vault.rollback('team:acme', 'exa', 1);
SELECT provider, label, version, hint FROM key_vault.list('team:acme') WHERE provider = 'exa';
SELECT version, is_current FROM key_vault.versions('team:acme', 'exa');
BEGIN;
SET LOCAL key_vault.user_id = 'team:acme';
SELECT key_vault.set(NULL, 'exa', 'of-team-acme-exa-3rd'), count(*) AS secrets FROM key_vault.secrets;
ROLLBACK;
SELECT imported, skipped, failed FROM key_vault.import_keys($$VALUES ('team:acme', 'groq', 'gsk_of-team-acme-imported'), ('team:', 'groq', 'gsk_of-no-team-xxxxxxxx')$$);
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.get('bob', 'groq'), key_vault.get('ada', 'groq');
-- a transaction with a team imports for that team alone, and for users
SELECT imported, skipped, failed FROM key_vault.import_keys($$VALUES ('team:other', 'groq', 'gsk_of-team-other-imported'), ('bob', 'groq', 'gsk_of-bob-imported-xxxx')$$);
ROLLBACK;
SELECT key_vault.forget('team:other');
BEGIN;
SET LOCAL key_vault.team_id = 'other';
SELECT key_vault.get('bob', 'exa') IS NULL AS forgotten;
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT user_id, provider, label, hint FROM key_vault.inventory WHERE user_id LIKE 'team:%' ORDER BY 1, 2, 3;

-- while the team's key is read the call acts for the team: seen from a policy of the DBA's
CREATE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'acts for %, team %', key_vault.current_user_id(), key_vault.current_team_id();
    RETURN true;
END $$;
CREATE POLICY note ON key_vault_data.secrets AS RESTRICTIVE USING (provider <> 'exa' OR label <> 'default' OR note_identity());
SET SESSION AUTHORIZATION regress_kv_service;
\set VERBOSITY terse
SET key_vault.team_id = 'acme';
SELECT key_vault.get('bob', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.get('ada', 'exa'), key_vault.get('bob', 'exa'), key_vault.current_user_id() IS NULL AS none;
SELECT key_vault.source('bob', 'exa'), key_vault.get_all('bob') ? 'exa' AS in_all, key_vault.current_user_id() IS NULL AS none;
SET key_vault.user_id = 'bob';
SELECT key_vault.require(NULL, 'exa'), key_vault.current_user_id();
\set VERBOSITY sqlstate
-- a policy that does not let it through leaves none
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE FUNCTION note_identity() RETURNS boolean LANGUAGE sql AS $$ SELECT key_vault.current_user_id() NOT LIKE 'team:%' $$;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.team_id = 'acme';
SET key_vault.user_id = 'bob';
SELECT key_vault.get(NULL, 'exa') IS NULL AS none, key_vault.source(NULL, 'exa') IS NULL AS nowhere, key_vault.get_all(NULL) ? 'exa' AS in_all;
-- a call within the call is the team's, and reaches nobody else
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'within %: % %', key_vault.current_user_id(), key_vault.get(NULL, 'groq'), key_vault.source(NULL, 'groq');
    PERFORM key_vault.get('ada', 'groq');
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN true;
END $$;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.team_id = 'acme';
SET key_vault.user_id = 'bob';
\set VERBOSITY terse
SELECT key_vault.get(NULL, 'exa'), key_vault.current_user_id();
\set VERBOSITY sqlstate
-- an error within it, in code that is not ours
RESET key_vault.user_id;
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE FUNCTION note_identity() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'KVTST'; END $$;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.team_id = 'acme';
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['get(''bob'', ''exa'')', 'require(''bob'', ''exa'')', 'lookup(''bob'', ''exa'')', 'get_all(''bob'')', 'source(''bob'', ''exa'')', 'onboarding(''bob'')', 'record_usage(''bob'', ''exa'')'] LOOP
        BEGIN
            EXECUTE 'SELECT * FROM key_vault.' || statement;
            RAISE '% did not fail', statement;
        EXCEPTION WHEN SQLSTATE 'KVTST' THEN
            ASSERT key_vault.current_user_id() IS NULL AND key_vault.current_team_id() = 'acme', statement;
            ASSERT (SELECT count(*) FROM key_vault.secrets) = 0, statement;
        END;
    END LOOP;
END $$;
RESET SESSION AUTHORIZATION;
DROP POLICY note ON key_vault_data.secrets;
DROP FUNCTION note_identity;

-- SET on one parameter only: on the team's it reaches the keys of every team, by a user's calls, and changes none
REVOKE SET ON PARAMETER key_vault.user_id FROM regress_kv_service;
SET key_vault.user_id = 'bob';
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.user_id = 'ada';
SET key_vault.team_id = 'acme';
SELECT key_vault.get(NULL, 'exa');
SELECT key_vault.get('bob', 'exa');
SELECT key_vault.get('team:acme', 'exa');
SELECT key_vault.set('team:acme', 'exa', repeat('n', 20));
RESET SESSION AUTHORIZATION;
RESET key_vault.user_id;
RESET key_vault.team_id;
-- on the user's: any owner, a team too, and no fall-back
GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_service;
REVOKE SET ON PARAMETER key_vault.team_id FROM regress_kv_service;
SET SESSION AUTHORIZATION regress_kv_service;
SET key_vault.team_id = 'acme';
SELECT key_vault.get('bob', 'exa') IS NULL AS no_fall_back, key_vault.get('team:acme', 'exa');
RESET SESSION AUTHORIZATION;
GRANT SET ON PARAMETER key_vault.team_id TO regress_kv_service;

SELECT key_vault.revoke_access('regress_kv_service'), key_vault.revoke_access('regress_kv_user');
DROP EXTENSION key_vault;
DROP OWNED BY regress_kv_service;
DROP ROLE regress_kv_service, regress_kv_user;
