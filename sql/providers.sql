-- The providers that come with the extension, the database's own, and the names that are not known.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
SELECT key_vault.grant_access('regress_kv_app', 'service');

-- ours
SELECT name, display_name, env_var, aliases, key_prefixes, required, category FROM key_vault.providers ORDER BY name COLLATE "C";
SELECT name FROM key_vault.providers WHERE key_url IS NULL OR key_url !~ '^https://[a-z0-9.]+(/[\w/-]+)?$';
-- every variable ends as a .env file's keys do, and names one provider
SELECT name FROM key_vault.providers WHERE env_var !~ '^[A-Z_]+(KEY|TOKEN|SECRET)$';
SELECT env_var FROM key_vault.providers GROUP BY 1 HAVING count(*) > 1;
-- no alias is a name, or somebody else's alias
SELECT alias FROM key_vault.providers, unnest(aliases) alias
GROUP BY alias HAVING count(*) > 1 OR bool_or(alias IN (SELECT name FROM key_vault.providers));
-- prefixes fit what the providers hand out
SELECT sample, name FROM (VALUES
    ('gemini', 'AIzaSyB-0123456789_abcdefghijklmnopqrstu'), ('openai', 'sk-proj-abc_DEF-123'), ('anthropic', 'sk-ant-api03-abc-DEF_123AA'),
    ('groq', 'gsk_abcDEF123'), ('openrouter', 'sk-or-v1-0123abcd'), ('xai', 'xai-abcDEF123'), ('deepseek', 'sk-0123abcd'), ('huggingface', 'hf_abcDEF'),
    ('replicate', 'r8_abcDEF'), ('tavily', 'tvly-dev-abc'), ('perplexity', 'pplx-0123abcd'), ('firecrawl', 'fc-0123abcd'), ('stability', 'sk-abcDEF'),
    ('github', 'ghp_abcDEF'), ('github', 'github_pat_11ABC_def'), ('copilotkit', 'ck_pub_0123abcd')) AS samples (provider, sample)
JOIN key_vault.providers ON name = provider WHERE NOT EXISTS (SELECT FROM unnest(key_prefixes) prefix WHERE starts_with(sample, prefix));
-- and are such as add_provider would take
SELECT name, prefix FROM key_vault.providers, unnest(key_prefixes) prefix WHERE prefix !~ '^[!-~]{3,32}$';

-- names that are not known: the nearest one as the hint, when one is near
\set VERBOSITY default
SELECT key_vault.get('user_a', 'gemin');
SELECT key_vault.get('user_a', 'Opnai ');
SELECT key_vault.get('user_a', 'goggle');
SELECT key_vault.get('user_a', 'antropic');
SELECT key_vault.get('user_a', 'mistrall');
SELECT key_vault.get('user_a', 'weather');
SELECT key_vault.get('user_a', 'x');
SELECT key_vault.get('user_a', repeat('gemini', 4));
SELECT key_vault.get('user_a', repeat('g', 64));
SELECT key_vault.get('user_a', '%s%n');
\set VERBOSITY sqlstate

-- the database's own are there at once, for this session too
SELECT key_vault.get('user_a', 'acme');
INSERT INTO key_vault_data.own_providers (name, display_name, env_var, aliases, key_prefixes)
VALUES ('acme', 'Acme', 'ACME_API_KEY', '{acme-ai,a}', '{acme_}');
SELECT key_vault.set('user_a', ' ACME-AI', 'acme_' || repeat('1', 20)), key_vault.get('user_a', 'a') = 'acme_' || repeat('1', 20) AS same;
SELECT provider FROM key_vault.list('user_a');
SET ROLE regress_kv_app;
SELECT key_vault.get('user_a', 'acme') = 'acme_' || repeat('1', 20) AS same, (SELECT env_var FROM key_vault.providers WHERE name = 'acme');
RESET ROLE;
\set VERBOSITY default
SELECT key_vault.get('user_a', 'acne');
\set VERBOSITY sqlstate

-- changed, for the next call in the same transaction; and back
BEGIN;
UPDATE key_vault_data.own_providers SET aliases = '{coyote}' WHERE name = 'acme';
SELECT key_vault.get('user_a', 'coyote') = 'acme_' || repeat('1', 20) AS same;
SAVEPOINT s;
SELECT key_vault.get('user_a', 'a');
ROLLBACK TO s;
DELETE FROM key_vault_data.own_providers;
SAVEPOINT s;
SELECT key_vault.get('user_a', 'acme');
ROLLBACK TO s;
ROLLBACK;
SELECT key_vault.get('user_a', 'a') = 'acme_' || repeat('1', 20) AS same;
SELECT key_vault.get('user_a', 'coyote');
BEGIN;
TRUNCATE key_vault_data.own_providers;
SELECT key_vault.require('user_a', 'acme');
ROLLBACK;
SELECT key_vault.get('user_a', 'acme') = 'acme_' || repeat('1', 20) AS same;

-- they win over ours
INSERT INTO key_vault_data.own_providers (name, display_name, env_var, key_prefixes, required)
VALUES ('openai', 'Our gateway', 'GATEWAY_API_KEY', '{gw-}', true);
SELECT display_name, env_var, required FROM key_vault.providers WHERE name = 'openai';
SELECT key_vault.set('user_a', 'openai', 'gw-' || repeat('2', 20));
SELECT key_vault.set('user_a', 'openai', 'sk-' || repeat('2', 20));
-- and their aliases over ours
UPDATE key_vault_data.own_providers SET aliases = '{google}' WHERE name = 'openai';
SELECT key_vault.get('user_a', 'gemini') IS NULL AS not_gemini, key_vault.get('user_a', 'google') = 'sk-' || repeat('2', 20) AS google_is_openai;
-- also over names and aliases that come with an upgrade
BEGIN;
INSERT INTO key_vault_data.builtin_providers (name, display_name, env_var, aliases)
VALUES ('acme-ai', 'Acme AI', 'ACME_AI_API_KEY', '{aaa}'), ('aaaa', 'AAAA', 'AAAA_API_KEY', '{a}');
SELECT key_vault.get('user_a', 'acme-ai') = 'acme_' || repeat('1', 20) AS acme, key_vault.get('user_a', 'a') = 'acme_' || repeat('1', 20) AS a,
       key_vault.get('user_a', 'aaaa') IS NULL AS others;
SELECT name FROM key_vault.providers WHERE name LIKE 'a%a%' ORDER BY name COLLATE "C";
SAVEPOINT s;
SELECT key_vault.get('user_a', 'aaa');
ROLLBACK TO s;
-- unless hidden: then the new one is there
UPDATE key_vault_data.own_providers SET hidden = true WHERE name = 'acme';
SELECT name FROM key_vault.providers WHERE name LIKE 'a%a%' ORDER BY name COLLATE "C";
SELECT key_vault.get('user_a', 'aaa') IS NULL AS acme_ai;
ROLLBACK;

-- or hide them: then there is no such provider, and what is stored waits
SELECT key_vault.set('user_a', 'exa', repeat('3', 20));
INSERT INTO key_vault_data.own_providers (name, display_name, env_var, hidden) VALUES ('exa', 'Exa', 'EXA_API_KEY', true);
SELECT count(*) FROM key_vault.providers WHERE name = 'exa';
SELECT key_vault.get('user_a', 'exa');
SELECT provider FROM key_vault.list('user_a');
DELETE FROM key_vault_data.own_providers WHERE name = 'exa';
SELECT key_vault.get('user_a', 'exa') = repeat('3', 20) AS same;

-- prefixes that are none, as whoever writes the table may put there, begin no key
UPDATE key_vault_data.own_providers SET key_prefixes = ARRAY['', NULL, repeat('4', 100000), '^4', chr(128273)] WHERE name = 'acme';
SELECT key_vault.set('user_b', 'acme', repeat('4', 20));
SELECT key_vault.get('user_b', 'acme') = repeat('4', 20) AS stored;

-- ours are ours: only an upgrade changes them
SET ROLE regress_kv_app;
INSERT INTO key_vault_data.own_providers (name, display_name, env_var) VALUES ('x', 'X', 'X_API_KEY');
UPDATE key_vault_data.builtin_providers SET env_var = 'X_API_KEY';
SELECT count(*) FROM key_vault_data.own_providers;
RESET ROLE;

DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app;
