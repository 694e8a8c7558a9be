-- One secret that does not open takes no other key away, and is not taken for "no key".
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('g', 20)), key_vault.set('user_a', 'exa', repeat('e', 20)),
       key_vault.set('user_a', 'copilotkit', 'ck_' || repeat('c', 20)), key_vault.set('user_a', 'openai', 'sk-' || repeat('o', 20));
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE provider = 'exa';

-- get_all: the others are there, and this one is null
SELECT key_vault.get_all('user_a');
\set VERBOSITY sqlstate
SELECT key_vault.get_all('user_a') ->> 'exa' IS NULL AS no_key, key_vault.get_all('user_a') ? 'exa' AS there;
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.require('user_a', 'exa');

-- onboarding: a page can say what to do
\set VERBOSITY default
SELECT provider, configured, source, hint, missing FROM key_vault.onboarding('user_a') ORDER BY provider COLLATE "C";
-- list opens nothing, and tells of all
SELECT provider, hint, status FROM key_vault.list('user_a') ORDER BY provider COLLATE "C";
SELECT key_vault.source('user_a', 'exa');

-- another provider's page for keys, or none
SELECT key_vault.add_provider('acme', required => true, display_name => 'Acme');
SELECT key_vault.set('user_a', 'acme', repeat('a', 20));
UPDATE key_vault_data.secrets SET provider = 'serper' WHERE provider = 'acme';
UPDATE key_vault_data.secrets SET provider = 'acme' WHERE provider = 'exa';
SELECT provider, configured, missing FROM key_vault.onboarding('user_a') WHERE missing IS NOT NULL ORDER BY provider COLLATE "C";
SELECT key_vault.get_all('user_a');

-- entered again, it is as any other
SELECT key_vault.set('user_a', 'acme', repeat('b', 20)), key_vault.set('user_a', 'exa', repeat('f', 20)), key_vault.delete('user_a', 'serper');
SELECT provider, configured, missing FROM key_vault.onboarding('user_a') ORDER BY provider COLLATE "C";
SELECT key_vault.get_all('user_a');

-- what has expired is not opened at all
SELECT key_vault.set('user_b', 'exa', repeat('e', 20), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'user_b';
SELECT key_vault.get_all('user_b');
SELECT missing FROM key_vault.onboarding('user_b') WHERE provider = 'exa';

-- of another root key: one that this database does not know, one that the keyring lacks
SELECT key_vault.set('user_c', 'exa', repeat('e', 20)), key_vault.set('user_c', 'gemini', 'AIza' || repeat('g', 20)),
       key_vault.set('user_c', 'openai', 'sk-' || repeat('o', 20)), key_vault.set('user_c', 'xai', 'xai-' || repeat('x', 20));
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef', sealed = overlay(sealed PLACING '\x0123456789abcdef'::bytea FROM 2 FOR 8)
WHERE user_id = 'user_c' AND provider = 'exa';
UPDATE key_vault_data.secrets SET root_key_id = 'fedcba9876543210', sealed = overlay(sealed PLACING '\xfedcba9876543210'::bytea FROM 2 FOR 8)
WHERE user_id = 'user_c' AND provider = 'gemini';
UPDATE key_vault_data.secrets SET root_key_id = 'fedcba9876543210' WHERE user_id = 'user_c' AND provider = 'openai';
SELECT key_vault.create_root_key() AS other \gset
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('fedcba9876543210', now());
SELECT key_vault.get_all('user_c');
SELECT provider, configured, missing FROM key_vault.onboarding('user_c') WHERE provider <> 'copilotkit' ORDER BY provider COLLATE "C";

-- what an admin sees of all users, older versions and other labels too
SELECT key_vault.set('user_d', 'exa', repeat('e', 20), label => 'work'), key_vault.set('user_d', 'exa', repeat('f', 20), label => 'work');
UPDATE key_vault_data.secrets SET expires_at = '2999-01-01 00:00:00+00' WHERE user_id = 'user_d' AND version = 1;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_monitor;
SELECT key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_monitor', 'monitor');
CREATE VIEW sealed_rows AS SELECT state, replace(detail, :'other', '(other)') AS detail, regexp_replace(remedy, '[0-9a-f]{16}(''\);\n-- restore)', '(active)\1') AS remedy
FROM key_vault.status() WHERE item = 'sealed_rows';
GRANT SELECT ON sealed_rows TO regress_kv_monitor;
SET ROLE regress_kv_admin;
SELECT user_id, provider, label, version, substring(root_key_id FROM '^0123.*|^fedc.*') AS root_key_id, reason FROM key_vault.verify_secrets();
RESET ROLE;
SET ROLE regress_kv_monitor;
SELECT * FROM sealed_rows;
\set VERBOSITY sqlstate
SELECT * FROM key_vault.verify_secrets();
\set VERBOSITY default
RESET ROLE;

-- rotation passes over them, and tells which
SELECT key_vault.activate_root_key(:'other');
CALL key_vault.rotate_root_key();
SELECT failed, remaining FROM key_vault.rotation_progress;
\set VERBOSITY sqlstate
SELECT provider FROM jsonb_each_text(key_vault.get_all('user_a')) AS keys (provider, key) WHERE key IS NULL;
SELECT provider FROM jsonb_each_text(key_vault.get_all('user_c')) AS keys (provider, key) WHERE key IS NULL;

-- without them
DELETE FROM key_vault_data.secrets s USING key_vault.verify_secrets() v
WHERE (s.user_id, s.provider, s.label, s.version) = (v.user_id, v.provider, v.label, v.version);
SELECT * FROM key_vault.verify_secrets();
SELECT * FROM sealed_rows;
DELETE FROM key_vault_data.root_key_registry WHERE id = 'fedcba9876543210';
SELECT * FROM sealed_rows;
DELETE FROM key_vault_data.secrets;
SELECT * FROM sealed_rows;

DROP VIEW sealed_rows;
DROP EXTENSION key_vault;
DROP ROLE regress_kv_admin, regress_kv_monitor;
