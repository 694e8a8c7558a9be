-- Which variables of a .env file hold the attributes of a provider's keys, and importing them with the keys.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

-- those that come with the extension
SELECT name, attribute_vars FROM key_vault.providers WHERE attribute_vars <> '{}' ORDER BY name COLLATE "C";
-- and follow the rules for others: none is another's, or is named for a secret
SELECT p.name, v.key, v.value FROM key_vault.providers p, LATERAL jsonb_each_text(p.attribute_vars) v
WHERE v.value ~ '(KEY|TOKEN|SECRET|PASSWORD)$' OR split_part(v.value, '_', 1) <> split_part(p.env_var, '_', 1)
   OR EXISTS (SELECT FROM key_vault.providers o, LATERAL jsonb_each_text(o.attribute_vars) w WHERE w.value = v.value AND (o.name, w.key) <> (p.name, v.key));

SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": "ACME_BASE_URL", "region": "ACME_REGION"}');
SELECT attribute_vars FROM key_vault.providers WHERE name = 'acme';
SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": "ACME_URL"}');
SELECT attribute_vars FROM key_vault.providers WHERE name = 'acme';
SELECT key_vault.add_provider('bare'), key_vault.add_provider('barer', attribute_vars => NULL);
SELECT name, attribute_vars FROM key_vault.providers WHERE name LIKE 'bare%' ORDER BY name;

-- what is refused
\set VERBOSITY default
SELECT key_vault.add_provider('acme', attribute_vars => '["ACME_BASE_URL"]');
SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": 1}');
SELECT key_vault.add_provider('acme', attribute_vars => '{"": "ACME_BASE_URL"}');
SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": "ACME BASE URL"}');
SELECT key_vault.add_provider('acme', attribute_vars => '{"account": "ACME_ACCOUNT_TOKEN"}');
SELECT key_vault.add_provider('acme', attribute_vars => '{"database": "DATABASE_URL"}');
SELECT key_vault.add_provider('deploy', attribute_vars => '{"environment": "DEPLOY_ENV"}');
SELECT key_vault.add_provider('acme', attribute_vars => '{"a": "ACME_URL", "b": "ACME_URL"}');
SELECT key_vault.add_provider('openai-eu', env_var => 'OPENAI_EU_API_KEY', attribute_vars => '{"base_url": "OPENAI_BASE_URL"}');
SELECT key_vault.add_provider('acme', attribute_vars => (SELECT jsonb_object_agg('a' || n, 'ACME_' || n) FROM generate_series(1, 17) n));
\set VERBOSITY sqlstate
CREATE FUNCTION state_of(vars jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.add_provider('acme', attribute_vars => vars);
    RETURN 'added';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT value, state_of(value::jsonb) FROM (VALUES ('null'), ('{"a": null}'), ('{"a": ["ACME_A"]}'), ('{"a": "acme_a"}'), ('{"a": ""}'), ('{"a": "1ACME"}'), ('{"a": "ACMEA"}'), ('{"a b": "ACME_A"}'),
    ('{"a": "ACME_API_KEY"}'), ('{"a": "ACME_SECRET"}'), ('{"a": "ACME_PASSWORD"}'), ('{"a": "PATH"}'), ('{"a": "OPENAI_API_KEY"}'), ('{"a": "ACME_A", "b": "ACME_B"}')) v (value);
-- a row that somebody wrote past the function does not keep others from being read
UPDATE key_vault_data.own_providers SET attribute_vars = '{"a": 1, "b": "ACME_B", "c": {}}' WHERE name = 'acme';
SELECT key_vault.set('user_a', 'acme', repeat('a', 20)), key_vault.set('user_a', 'exa', repeat('e', 20));
UPDATE key_vault_data.own_providers SET attribute_vars = '[1]' WHERE name = 'acme';
SELECT key_vault.set('user_a', 'acme', repeat('a', 20));
SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": "ACME_URL"}');

-- import_dotenv: a key with what stands beside it
SELECT * FROM key_vault.import_dotenv('user_d', $$OPENAI_API_KEY=sk-first-key
OPENAI_BASE_URL="https://eu.example.com/v1"   # ours
OPENAI_ORG_ID=
ANTHROPIC_BASE_URL=https://nobody.example.com
ACME_API_KEY='acme-first-key'
ACME_URL=https://acme.example.com
GEMINI_API_KEY=AIza-without-any
$$) ORDER BY provider COLLATE "C";
SELECT provider, version, attributes FROM key_vault.list('user_d');
SELECT provider, k.api_key FROM key_vault.list('user_d') l, LATERAL key_vault.lookup('user_d', l.provider) k;
-- without it the next time: gone with the key that it belonged with
SELECT * FROM key_vault.import_dotenv('user_d', 'OPENAI_API_KEY=sk-second-key');
SELECT version, attributes FROM key_vault.versions('user_d', 'openai');
-- a key whose address cannot be told, or is none, is not imported, and takes no other one away
\set VERBOSITY default
SELECT * FROM key_vault.import_dotenv('user_d', $$OPENAI_API_KEY=sk-third-key
OPENAI_BASE_URL=https://${HOST}.example.com
ACME_API_KEY=acme-second-key
ACME_URL=https://acme.example.com/?key=sk-proj-0cc175b9c0f1b6a831c399e269772661
GEMINI_API_KEY=AIza-second
$$) ORDER BY provider COLLATE "C";
\set VERBOSITY sqlstate
SELECT provider, version, attributes FROM key_vault.list('user_d');

-- import_keys: a fifth column
\set VERBOSITY default
SELECT * FROM key_vault.import_keys($$VALUES
    ('user_i', 'openai', 'sk-of-the-table', timestamptz '2025-01-01', '{"base_url": "https://eu.example.com"}'::jsonb),
    ('user_i', 'openai', 'sk-older', '2024-01-01', '{"base_url": "https://old.example.com"}'),
    ('user_i', 'exa', 'exa-of-the-table', NULL, NULL),
    ('user_j', 'exa', 'exa-of-the-table', NULL, '{}'),
    ('user_j', 'openai', 'sk-with-a-list', NULL, '["eu"]'),
    ('user_j', 'groq', 'gsk_with_a_key', NULL, '{"note": "sk-proj-0cc175b9c0f1b6a831c399e269772661"}')$$);
SELECT * FROM key_vault.import_keys($$VALUES
    ('user_k', 'openai', 'sk-of-the-table', '2025-01-01', '{"base_url": "https://eu.example.com"}'),
    ('user_k', 'exa', 'exa-of-the-table', NULL, NULL),
    ('user_k', 'groq', 'gsk_of_the_table', NULL, 'sk-proj-0cc175b9c0f1b6a831c399e269772661'),
    ('user_k', 'tavily', 'tvly-of-the-table', NULL, '')$$);
SELECT * FROM key_vault.import_keys($$SELECT 'user_k', 'mistral', repeat('m', 20), NULL, repeat('[', 100000)$$);
SELECT * FROM key_vault.import_keys($$SELECT 'user_k', 'mistral', repeat('m', 20), NULL, json '{"region": "eu"}'$$);
SELECT * FROM key_vault.import_keys($$SELECT 'user_k', 'cohere', repeat('c', 20), NULL, 1$$);
SELECT * FROM key_vault.import_keys($$SELECT 'user_k', 'cohere', repeat('c', 20), '{"region": "eu"}'::jsonb, NULL$$);
SELECT * FROM key_vault.import_keys($$SELECT 'user_k', 'cohere', repeat('c', 20), NULL, NULL, NULL$$);
\set VERBOSITY sqlstate
SELECT u, l.provider, l.attributes FROM unnest('{user_i,user_j,user_k}'::text[]) u, LATERAL key_vault.list(u) l;
SELECT key_vault.get('user_i', 'openai'), key_vault.get('user_k', 'openai');

DROP FUNCTION state_of;
DROP EXTENSION key_vault;
