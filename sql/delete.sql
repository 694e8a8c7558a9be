-- delete(): one secret with all its versions.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.delete('user_a', 'exa');
SELECT key_vault.set('user_a', 'exa', repeat('1', 20)), key_vault.set('user_a', 'exa', repeat('2', 20)),
       key_vault.set('user_a', 'exa', repeat('3', 20), 'work'), key_vault.set('user_a', 'gemini', 'AIza' || repeat('4', 20)),
       key_vault.set('user_b', 'exa', repeat('5', 20));
SELECT key_vault.delete('user_a', 'exa');
SELECT user_id, provider, label, version FROM key_vault.secrets ORDER BY 1, 2, 3, 4;
SELECT key_vault.get('user_a', 'exa') IS NULL AS gone;
SELECT key_vault.delete('user_a', 'exa');

-- by label and by alias
SELECT key_vault.delete('user_a', 'exa', 'work'), key_vault.delete('user_a', ' GOOGLE');
SELECT user_id, provider, label, version FROM key_vault.secrets ORDER BY 1, 2, 3, 4;

-- what it refuses
SELECT key_vault.delete(NULL, 'exa');
SELECT key_vault.delete('', 'exa');
SELECT key_vault.delete('user_b', NULL);
SELECT key_vault.delete('user_b', 'exo');
SELECT key_vault.delete('user_b', 'exa', NULL);
SELECT key_vault.delete('user_b', 'exa', '');
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.delete('user_b', 'exa');
ROLLBACK;
SELECT key_vault.get('user_b', 'exa') = repeat('5', 20) AS still_there;

-- for the identity
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.delete(NULL, 'exa');
ROLLBACK;
-- undone
SELECT key_vault.get('user_b', 'exa') = repeat('5', 20) AS still_there;

-- what has expired or does not open can be deleted
SELECT key_vault.set('user_c', 'exa', repeat('6', 20), expires_at => clock_timestamp() + interval '20 ms'), key_vault.set('user_c', 'serper', repeat('7', 20));
UPDATE key_vault_data.secrets SET sealed = decode(repeat('00', 60), 'hex') WHERE provider = 'serper';
SELECT pg_sleep(0.03);
SELECT key_vault.delete('user_c', 'exa'), key_vault.delete('user_c', 'serper');
SELECT count(*) FROM key_vault.secrets WHERE user_id = 'user_c';

DROP EXTENSION key_vault;
