-- source(): where get() would take a key from, without opening it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.source('user_a', 'exa') IS NULL AS nowhere;
SELECT key_vault.set('user_a', 'exa', repeat('1', 20)), key_vault.set('user_a', 'exa', repeat('2', 20), 'work');
SELECT key_vault.source('user_a', 'exa'), key_vault.source('user_a', ' Exa', 'work');
SELECT key_vault.source('user_a', 'exa', 'home') IS NULL AS no_label, key_vault.source('user_a', 'serper') IS NULL AS no_provider,
       key_vault.source('user_b', 'exa') IS NULL AS other_user;

SELECT key_vault.source(NULL, 'exa');
SELECT key_vault.source('', 'exa');
SELECT key_vault.source('user_a', 'exo');
SELECT key_vault.source('user_a', 'exa', '');
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.source(NULL, 'exa');
SELECT key_vault.source('user_b', 'exa');
ROLLBACK;

-- it opens nothing
UPDATE key_vault_data.secrets SET sealed = decode(repeat('00', 60), 'hex') WHERE user_id = 'user_a';
SELECT key_vault.source('user_a', 'exa');

DROP EXTENSION key_vault;
