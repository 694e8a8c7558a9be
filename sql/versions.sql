-- Version numbers, how many versions are kept, and going back to one.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- none yet
SELECT version FROM key_vault.versions('user_a', 'exa');

-- each set is a version; as shipped, the two before the current one are kept
SHOW key_vault.keep_versions;
SELECT n, key_vault.set('user_a', 'exa', make_key(n)) AS version FROM generate_series(1, 5) n;
SELECT version, hint, expires_at, is_current FROM key_vault.versions('user_a', 'exa');
SELECT version FROM key_vault.secrets WHERE user_id = 'user_a' ORDER BY 1;
SELECT bool_and(created_at BETWEEN now() - interval '1 minute' AND clock_timestamp()) AS made_now,
       array_agg(created_at ORDER BY version) = array_agg(created_at ORDER BY created_at) AS in_order
FROM key_vault.versions('user_a', 'exa');

-- each label and each provider counts for itself
SELECT key_vault.set('user_a', 'exa', make_key(10), 'work'), key_vault.set('user_a', 'serper', make_key(11)),
       key_vault.set('user_b', 'exa', make_key(12));
SELECT version, hint, is_current FROM key_vault.versions('user_a', 'exa', 'work');

-- back to an older one: it becomes a new version
SELECT key_vault.rollback('user_a', 'exa', 4);
SELECT key_vault.get('user_a', 'exa') = make_key(4) AS same;
SELECT version, hint, is_current FROM key_vault.versions('user_a', 'exa');
-- and forth
SELECT key_vault.rollback('user_a', 'exa', 5);
SELECT key_vault.get('user_a', 'exa') = make_key(5) AS same;
-- to the current one
SELECT key_vault.rollback('user_a', 'exa', 7);
SELECT key_vault.get('user_a', 'exa') = make_key(5) AS same;
-- with a label
SELECT key_vault.set('user_a', 'exa', make_key(13), 'work'), key_vault.rollback('user_a', 'exa', 1, 'work');
SELECT key_vault.get('user_a', 'exa', 'work') = make_key(10) AS same;
SELECT key_vault.rollback(label => 'work', version => 2, provider => 'exa', user_id => 'user_a');
SELECT key_vault.get('user_a', 'exa', 'work') = make_key(13) AS same;

-- what is not kept does not come back, and nothing changes
\set VERBOSITY default
SELECT key_vault.rollback('user_a', 'exa', 4);
\set VERBOSITY sqlstate
SELECT key_vault.rollback('user_a', 'exa', 0);
SELECT key_vault.rollback('user_a', 'exa', -1);
SELECT key_vault.rollback('user_a', 'exa', 99);
SELECT key_vault.rollback('user_a', 'exa', NULL);
SELECT key_vault.rollback('user_a', 'groq', 1);
SELECT key_vault.rollback('user_a', 'exa', 1, 'nobody');
SELECT array_agg(version) FROM key_vault.versions('user_a', 'exa');

-- expiry and hint go along; an expired version does not become current
SELECT key_vault.set('user_e', 'exa', make_key(1), expires_at => '2999-01-01 00:00:00+00'), key_vault.set('user_e', 'exa', make_key(2));
SELECT key_vault.rollback('user_e', 'exa', 1);
SELECT version, hint, expires_at = '2999-01-01 00:00:00+00' AS expires FROM key_vault.versions('user_e', 'exa');
SELECT key_vault.set('user_e', 'serper', make_key(1), expires_at => clock_timestamp() + interval '20 ms'),
       key_vault.set('user_e', 'serper', make_key(2));
SELECT pg_sleep(0.03);
SELECT key_vault.rollback('user_e', 'serper', 1);
SELECT key_vault.get('user_e', 'serper') = make_key(2) AS unchanged;

-- how many are kept is decided when one is set
SET key_vault.keep_versions = 0;
SELECT key_vault.set('user_k', 'exa', make_key(n)) FROM generate_series(1, 3) n;
SELECT version, is_current FROM key_vault.versions('user_k', 'exa');
SELECT key_vault.rollback('user_k', 'exa', 2);
SELECT key_vault.rollback('user_k', 'exa', 3);
SELECT version, is_current FROM key_vault.versions('user_k', 'exa');
SET key_vault.keep_versions = 4;
SELECT key_vault.set('user_k', 'exa', make_key(n)) FROM generate_series(5, 10) n;
SELECT array_agg(version) FROM key_vault.versions('user_k', 'exa');
SET key_vault.keep_versions = 1;
SELECT array_agg(version) FROM key_vault.versions('user_k', 'exa');
SELECT key_vault.set('user_k', 'exa', make_key(11));
SELECT array_agg(version) FROM key_vault.versions('user_k', 'exa');
-- of one name only
SELECT array_agg(version) FROM key_vault.versions('user_a', 'exa');
SET key_vault.keep_versions = -1;
SET key_vault.keep_versions = 1001;
SET key_vault.keep_versions = 1000;
RESET key_vault.keep_versions;

-- after a delete, numbers begin anew
SELECT key_vault.delete('user_k', 'exa');
SELECT key_vault.set('user_k', 'exa', make_key(1));

-- the numbers end somewhere
UPDATE key_vault_data.secrets SET version = 2147483647 WHERE user_id = 'user_k';
SELECT key_vault.set('user_k', 'exa', make_key(2));
SELECT array_agg(version) FROM key_vault.versions('user_k', 'exa');

DROP FUNCTION make_key;
DROP EXTENSION key_vault;
