-- A key that is passed as the label by mistake is in no message.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.require('user_a', 'openai', 'work');
SELECT key_vault.require('user_a', 'openai', 'sk-proj-0123456789abcdef0123456789');
SELECT key_vault.require('user_a', 'openai', 'ünïcödé-0123456789abcdef0123456789');
DO $$
DECLARE
    message text;
BEGIN
    PERFORM key_vault.set('user_a', 'exa', 'work', 'sk-proj-0123456789abcdef0123456789', NULL, 7);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE WARNING '%', message;
END $$;
DROP EXTENSION key_vault;
