-- forget(): everything about one user.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.forget('user_a');
SELECT key_vault.set('user_a', 'exa', repeat('1', 20)), key_vault.set('user_a', 'exa', repeat('2', 20)),
       key_vault.set('user_a', 'exa', repeat('3', 20), 'work'), key_vault.set('user_a', 'serper', repeat('4', 20)),
       key_vault.set('user_b', 'exa', repeat('5', 20)), key_vault.set('user_a2', 'exa', repeat('6', 20));
-- how many: each version of a key is a secret
SELECT key_vault.forget('user_a');
SELECT user_id, provider FROM key_vault.secrets ORDER BY 1, 2;
SELECT key_vault.forget('user_a');

SELECT key_vault.forget(NULL);
SELECT key_vault.forget('');
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.forget('user_b');
ROLLBACK;
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.forget(NULL);
ROLLBACK;
SELECT count(*) FROM key_vault.list('user_b');

DROP EXTENSION key_vault;
