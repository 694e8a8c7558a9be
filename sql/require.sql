-- require() returns the key, or says why there is none.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

-- never set: SQLSTATE P0002, and a message that callers can match
SELECT key_vault.require('user_a', 'exa');
\echo :LAST_ERROR_SQLSTATE
SELECT key_vault.require('user_a', 'hf', 'work');
\echo :LAST_ERROR_SQLSTATE

-- what get() refuses, require() refuses
\set VERBOSITY sqlstate
SELECT key_vault.require('user_a', 'exo');
SELECT key_vault.require(NULL, 'exa');
SELECT key_vault.require('', 'exa');
SELECT key_vault.require('user_a', NULL);
SELECT key_vault.require('user_a', 'exa', NULL);

SELECT key_vault.set('user_a', 'exa', repeat('1', 20)), key_vault.set('user_a', 'exa', repeat('2', 20), 'work');
SELECT key_vault.require('user_a', 'exa') = repeat('1', 20) AS same, key_vault.require('user_a', ' EXA ', 'work') = repeat('2', 20) AS labelled;

-- deleted is never set; somebody else's does not count
SELECT key_vault.delete('user_a', 'exa');
SELECT key_vault.require('user_a', 'exa');
SELECT key_vault.require('user_b', 'exa', 'work');

-- in plpgsql it is no_data_found
DO $$
BEGIN
    PERFORM key_vault.require('user_a', 'exa');
    RAISE 'there is a key';
EXCEPTION WHEN no_data_found THEN
    ASSERT SQLERRM LIKE 'no API key found%', SQLERRM;
END $$;

DROP EXTENSION key_vault;
