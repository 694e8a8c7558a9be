-- inspect_key: what is odd about a key, as sentences for the user who enters it; stores nothing.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');

SET ROLE regress_kv_user;
\pset format unaligned
-- nothing is odd
SELECT * FROM key_vault.inspect_key('openai', 'sk-' || repeat('a', 20));
SELECT * FROM key_vault.inspect_key('exa', repeat('a', 20));
SELECT * FROM key_vault.inspect_key(' Google ', 'AIza' || repeat('a', 20));
-- one thing, and several
SELECT * FROM key_vault.inspect_key('openai', 'pk-' || repeat('a', 20));
SELECT * FROM key_vault.inspect_key('google', 'pk-' || repeat('a', 20));
SELECT * FROM key_vault.inspect_key('github', 'pk-' || repeat('a', 20));
SELECT * FROM key_vault.inspect_key('exa', repeat('a', 20) || U&'\200B');
SELECT * FROM key_vault.inspect_key('exa', repeat('a', 20) || U&'\0430');
SELECT * FROM key_vault.inspect_key('openai', ' pk-' || repeat('a', 20) || E'\n' || repeat('a', 20) || ' ');
SELECT * FROM key_vault.inspect_key('openai', 'sk-...abcd');
SELECT * FROM key_vault.inspect_key('exa', '****0004');
SELECT * FROM key_vault.inspect_key('exa', repeat(U&'\2022', 8) || 'abcd');
SELECT * FROM key_vault.inspect_key('openai', 'None');
SELECT * FROM key_vault.inspect_key('openai', '****0004');
SELECT * FROM key_vault.inspect_key('openai', E'\tsk-' || repeat('a', 20));
SELECT * FROM key_vault.inspect_key('exa', '   ');
SELECT * FROM key_vault.inspect_key('exa', '');
SELECT * FROM key_vault.inspect_key('exa', NULL);
SELECT * FROM key_vault.inspect_key('exa', repeat('a', 65537));
SELECT * FROM key_vault.inspect_key('exa', '$2b$10$' || repeat('a', 53));
-- in the SELECT list as well
SELECT key_vault.inspect_key(api_key => '****0004', provider => 'exa') AS odd;
SELECT key_vault.inspect_key('exa', repeat('a', 20)) AS odd;
-- a provider that is not known
SELECT * FROM key_vault.inspect_key('exo', repeat('a', 20));
\set VERBOSITY sqlstate
SELECT * FROM key_vault.inspect_key(NULL, repeat('a', 20));
SELECT * FROM key_vault.inspect_key('', repeat('a', 20));
RESET ROLE;

-- whatever set is told to do, it is what set says; and nothing is stored
SET key_vault.check_keys = refuse;
SELECT * FROM key_vault.inspect_key('exa', ' ' || repeat('a', 20));
RESET key_vault.check_keys;
SELECT count(*) FROM key_vault.secrets;

-- of those with a level, whoever may set may ask
SET ROLE regress_kv_dba;
SELECT * FROM key_vault.inspect_key('exa', '****0004');
RESET ROLE;

DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_dba;
