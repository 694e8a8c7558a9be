-- list(): what a user has, without the keys.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT * FROM key_vault.list('user_a');
SELECT key_vault.set('user_a', 'serper', repeat('1', 16) || 'last'), key_vault.set('user_a', 'exa', repeat('2', 16) || 'work', 'work'),
       key_vault.set('user_a', 'exa', repeat('3', 16) || 'old1'), key_vault.set('user_a', 'exa', repeat('3', 16) || 'new2'),
       key_vault.set('user_a', 'exa', repeat('s', 5), 'Work'), key_vault.set('user_b', 'exa', repeat('4', 20)),
       key_vault.set('user_a', 'deepl', repeat('5', 20), expires_at => '2999-01-01 00:00:00+00'),
       key_vault.set('user_a', 'cohere', repeat('6', 20), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
-- in the order of bytes, one row a secret, the current version
SELECT provider, label, version, hint, status, expires_at IS NULL AS never_expires,
       created_at BETWEEN now() - interval '1 minute' AND now() AS made_now
FROM key_vault.list('user_a');
SELECT provider, hint FROM key_vault.list('user_b');

-- its columns, none of which can hold a key
SELECT unnest(proargnames[2:]) AS column_name, unnest(proallargtypes[2:])::regtype AS type FROM pg_proc WHERE oid = 'key_vault.list'::regproc;

SELECT * FROM key_vault.list(NULL);
SELECT * FROM key_vault.list('');
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT provider FROM key_vault.list(NULL);
SELECT provider FROM key_vault.list('user_a');
ROLLBACK;

-- rows that do not open do not break it
UPDATE key_vault_data.secrets SET sealed = decode(repeat('00', 60), 'hex') WHERE user_id = 'user_b';
SELECT provider, hint, status FROM key_vault.list('user_b');

-- as a row source it takes part in joins, and stops early
SELECT u, l.provider FROM unnest('{user_a,user_b,user_c}'::text[]) u LEFT JOIN LATERAL key_vault.list(u) l ON l.provider = 'exa' AND l.label = 'default' ORDER BY 1;
SELECT provider FROM key_vault.list('user_a') LIMIT 1;
SELECT (key_vault.list('user_b')).provider;

DROP EXTENSION key_vault;
