-- onboarding(): a row for each provider that is required or has a key, and what is missing.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
SET ROLE regress_kv_app;

-- a new user: the required ones, each with what to do
SELECT * FROM key_vault.onboarding('user_a') ORDER BY provider COLLATE "C";
SELECT * FROM key_vault.onboarding_sessions;

-- a stored one shows its hint, never the key; others that the user has are there too
SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('0', 31) || 'wxyz');
SELECT key_vault.set('user_a', 'openai', 'sk-' || repeat('1', 31) || 'stuv', expires_at => '2999-01-01 00:00:00+00');
SELECT key_vault.set('user_a', 'exa', 'short');
SET timezone = 'UTC';
SELECT * FROM key_vault.onboarding('user_a') ORDER BY provider COLLATE "C";
-- of another label: no
SELECT key_vault.set('user_a', 'copilotkit', 'ck_' || repeat('2', 20), label => 'spare');
SELECT configured, missing FROM key_vault.onboarding('user_a') WHERE provider = 'copilotkit';
SELECT string_agg(provider, ', ' ORDER BY provider COLLATE "C") AS missing FROM key_vault.onboarding('user_a') WHERE required AND NOT configured;

-- an expired one is missing again
SELECT key_vault.set('user_a', 'copilotkit', 'ck_' || repeat('2', 20), expires_at => clock_timestamp() + '0.05 s');
SELECT pg_sleep(0.1);
SELECT provider, configured, source, hint, missing FROM key_vault.onboarding('user_a') WHERE provider = 'copilotkit';
SELECT key_vault.set('user_a', 'copilotkit', 'ck_' || repeat('2', 20));
SELECT count(*) FROM key_vault.onboarding('user_a') WHERE missing IS NOT NULL;
SELECT key_vault.delete('user_a', 'gemini');
SELECT provider, missing FROM key_vault.onboarding('user_a') WHERE missing IS NOT NULL;

-- other users' keys are theirs
SELECT provider, configured FROM key_vault.onboarding('user_b') ORDER BY provider COLLATE "C";
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT count(*) FROM key_vault.onboarding(NULL) WHERE configured;
SAVEPOINT s;
SELECT * FROM key_vault.onboarding('user_b');
ROLLBACK TO s;
ROLLBACK;

-- without a user: an error in production, as everywhere
SELECT * FROM key_vault.onboarding(NULL);
SELECT * FROM key_vault.onboarding('');
RESET ROLE;
SET ROLE regress_kv_user;
SELECT * FROM key_vault.onboarding('user_a');
RESET ROLE;
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_user;
SELECT count(*) FROM key_vault.onboarding(NULL) WHERE configured;
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_dba;
SELECT * FROM key_vault.onboarding('user_a');
RESET ROLE;

-- what is required is the database's to say
SELECT key_vault.add_provider('acme', required => true, display_name => 'Acme', key_url => 'https://acme.example/keys');
SELECT key_vault.remove_provider('copilotkit');
SELECT key_vault.delete('user_a', 'copilotkit', 'spare'), key_vault.delete('user_a', 'copilotkit');
SELECT key_vault.remove_provider('copilotkit');
SELECT provider, missing FROM key_vault.onboarding('user_a') WHERE missing IS NOT NULL ORDER BY provider COLLATE "C";

DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_user, regress_kv_dba;
