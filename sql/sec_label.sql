-- A key that is passed as the label or the user id by mistake is in no message.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.require('user_a', 'openai', 'work');
SELECT key_vault.require('user_a', 'openai', 'sk-proj-0123456789abcdef0123456789');
SELECT key_vault.require('user_a', 'openai', 'ünïcödé-0123456789abcdef0123456789');
\set VERBOSITY default
SELECT key_vault.require('sk-proj-0123456789abcdef0123456789', 'openai');
SELECT key_vault.require('0a1b2c3d4e5f60718293a4b5c6d7e8f9', 'openai');
SELECT key_vault.require('9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0', 'openai');
SELECT key_vault.require('someone.with.a.long.name@example.com', 'openai');
SELECT key_vault.require('tenant_00000042:user_00004711', 'openai');
\set VERBOSITY terse
DO $$
DECLARE
    message text;
BEGIN
    PERFORM key_vault.set('user_a', 'exa', repeat('k', 20), 'exa-0123456789abcdef0123456789', NULL, 7);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE WARNING '%', message;
END $$;
DROP EXTENSION key_vault;
