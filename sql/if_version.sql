-- if_version: a key is stored only when the version is the one expected.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- 0: there must be none yet
SELECT key_vault.set('user_a', 'exa', make_key(1), if_version => 1);
SELECT key_vault.set('user_a', 'exa', make_key(1), if_version => 0);
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', make_key(2), if_version => 0);
SELECT key_vault.set('user_a', 'serper', make_key(2), if_version => 3);
\set VERBOSITY sqlstate

-- n: that one must be the current
SELECT key_vault.set('user_a', 'exa', make_key(2), if_version => 1);
SELECT key_vault.set('user_a', 'exa', make_key(3), if_version => 1);
SELECT key_vault.set('user_a', 'exa', make_key(3), if_version => 3);
SELECT key_vault.set('user_a', 'exa', make_key(3), if_version => 2);
SELECT key_vault.set('user_a', 'exa', make_key(3), if_version => -1);
SELECT key_vault.set('user_a', 'exa', make_key(4), if_version => NULL);

-- what did not hold left nothing
SELECT version, hint FROM key_vault.versions('user_a', 'exa');
SELECT count(*) FROM key_vault.versions('user_a', 'serper');

-- each label for itself; an expired key is there, a deleted one is not
SELECT key_vault.set('user_a', 'exa', make_key(5), 'work', if_version => 0);
SELECT key_vault.set('user_a', 'groq', 'gsk_' || make_key(1), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
SELECT key_vault.set('user_a', 'groq', 'gsk_' || make_key(2), if_version => 0);
SELECT key_vault.set('user_a', 'groq', 'gsk_' || make_key(2), if_version => 1);
SELECT key_vault.delete('user_a', 'groq');
SELECT key_vault.set('user_a', 'groq', 'gsk_' || make_key(3), if_version => 2);
SELECT key_vault.set('user_a', 'groq', 'gsk_' || make_key(3), if_version => 0);

-- not an error that drivers retry by themselves
DO $$
BEGIN
    PERFORM key_vault.set('user_a', 'groq', 'gsk_' || make_key(4), if_version => 0);
    RAISE 'it was stored';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    NULL;
END $$;

DROP FUNCTION make_key;
DROP EXTENSION key_vault;
