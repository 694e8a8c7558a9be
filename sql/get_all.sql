-- get_all(): every current key with the label default, in one round trip.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.get_all('user_a');
SELECT key_vault.set('user_a', 'exa', repeat('0', 20)), key_vault.set('user_a', 'exa', repeat('1', 20)),
       key_vault.set('user_a', 'serper', repeat('2', 20)), key_vault.set('user_a', 'google', 'AIza' || repeat('3', 20)),
       key_vault.set('user_a', 'serper', repeat('4', 20), 'work'), key_vault.set('user_a', 'deepl', repeat('5', 20), 'work'),
       key_vault.set('user_b', 'exa', repeat('6', 20)),
       key_vault.set('user_a', 'mistral', repeat('7', 20), expires_at => clock_timestamp() + interval '1 hour'),
       key_vault.set('user_a', 'cohere', repeat('8', 20), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
SELECT key_vault.get_all('user_a');
SELECT key_vault.get_all('user_b');
SELECT key_vault.get_all('user_c');

-- it is what get() returns for each
SELECT name FROM key_vault.providers
WHERE key_vault.get('user_a', name) IS DISTINCT FROM key_vault.get_all('user_a') ->> name;

-- keys that JSON has to escape
SELECT key_vault.set('user_j', 'exa', 'quote " backslash \ line' || chr(10) || 'tab' || chr(9) || chr(1) || chr(127) || chr(128273) || '!');
SELECT key_vault.get_all('user_j') ->> 'exa' = key_vault.get('user_j', 'exa') AS same;
SELECT key_vault.set('user_j', 'serper', repeat(chr(128273), 16384));
SELECT key_vault.get_all('user_j') ->> 'serper' = repeat(chr(128273), 16384) AS same;

-- every provider at once
SELECT count(key_vault.set('user_p', name, coalesce(key_prefixes[1], '') || repeat('p', 20)))
FROM key_vault.providers;
SELECT count(*) = (SELECT count(*) FROM key_vault.providers) AS all_of_them FROM jsonb_object_keys(key_vault.get_all('user_p'));

SELECT key_vault.get_all(NULL);
SELECT key_vault.get_all('');
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.get_all(NULL) = key_vault.get_all('user_b') AS same;
SELECT key_vault.get_all('user_a');
COMMIT;

-- one that does not open is null, not a gap
UPDATE key_vault_data.secrets SET version = version + 1 WHERE user_id = 'user_a' AND provider = 'exa' AND version = 2;
SELECT key_vault.get_all('user_a');

DROP EXTENSION key_vault;
