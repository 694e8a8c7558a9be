-- What demo.sh shows.  psql runs it as the superuser of a throwaway server.
\pset footer off
\set VERBOSITY terse
\set ON_ERROR_STOP on

\echo '1. A DBA, once: the extension, its root key, and a role for the backend'
\echo
\set ECHO queries
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key();
CREATE ROLE app LOGIN;
SELECT key_vault.grant_access('app', 'service') \g /dev/null
\set ECHO none
\echo

\connect - app
CREATE TEMP TABLE incoming (user_id text, provider text, api_key text);
\copy incoming FROM 'keys.csv' CSV

\echo '2. The backend stores the keys that two users brought.  It binds them as'
\echo '   parameters; here they come out of a table that COPY filled.'
\echo
\set ECHO queries
SELECT user_id, provider, key_vault.set(user_id, provider, api_key) AS version FROM incoming;
\set ECHO none

\echo '3. Each request says whom it is for, and gets that user''s keys'
\echo
\set ECHO queries
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.get('user_a', 'gemini');
COMMIT;
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.get('user_b', 'openai');
COMMIT;
\set ECHO none
\echo

\echo '4. A request for user_b that asks for a key of user_a is refused'
\echo
\set ECHO queries
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
\set ON_ERROR_STOP off
SELECT key_vault.get('user_a', 'gemini');
\set ON_ERROR_STOP on
\set ECHO none
\echo '       SQLSTATE' :LAST_ERROR_SQLSTATE
ROLLBACK;
\echo

\echo '5. What user_a''s settings page can show'
\echo
\set ECHO queries
SELECT provider, label, version, hint, status FROM key_vault.list('user_a');
\set ECHO none

\connect - postgres
\echo '6. What a thief of the table has'
\echo
\set ECHO queries
SELECT user_id, provider, left(encode(sealed, 'hex'), 48) || '...' AS sealed FROM key_vault.secrets;
\set ECHO none

\echo '7. A row that was moved to another user does not open, not even for a superuser'
\echo
\set ECHO queries
BEGIN;
UPDATE key_vault_data.secrets SET user_id = 'user_b' WHERE user_id = 'user_a' AND provider = 'gemini';
\set ON_ERROR_STOP off
SELECT key_vault.get('user_b', 'gemini');
\set ON_ERROR_STOP on
\set ECHO none
\echo '       SQLSTATE' :LAST_ERROR_SQLSTATE
ROLLBACK;
\echo

\echo '8. What a DBA looks at now and then'
\echo
\pset format wrapped
\pset columns 100
\set ECHO queries
SELECT item, state, detail FROM key_vault.status();
