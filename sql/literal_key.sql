-- A key that stands in the statement's text gets a warning, once a session, and the text is hidden, each
-- time; one that was bound, or came out of a table, does not.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION shown() RETURNS text LANGUAGE sql AS $$ SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() $$;

-- literally
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef');
-- while it runs, nobody reads it; the next statement is shown again
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef') AS version, shown();
SELECT 'shown again' AS "then", shown();
-- it is said again in another session, and for inspect_key and import_dotenv as for set
\c -
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT key_vault.inspect_key('exa', 'literal-0123456789abcdef') AS odd, shown();
SELECT count(*), shown() FROM key_vault.inspect_key('exa', 'literal-0123456789abcdef');
\c -
SET client_min_messages = warning;
SELECT provider, version, shown() FROM key_vault.import_dotenv('user_a', 'EXA_API_KEY=literal-0123456789abcdef');
\c -
SET client_min_messages = warning;
-- also when what it would have been said of fails
SELECT key_vault.set('user_a', 'exo', 'literal-0123456789abcdef');
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef') AS version;
-- as an argument by name, or as that of a function around it
SELECT key_vault.set(user_id => 'user_a', provider => 'exa', api_key => 'literal-0123456789abcdef') AS version, shown();
SELECT key_vault.set('user_a', 'exa', concat('literal-0123456789abcdef', '')) AS version, shown();
-- it is hidden although the call fails
SELECT key_vault.set('user_a', 'exo', 'literal-0123456789abcdef');
SELECT key_vault.set(NULL, 'exa', 'literal-0123456789abcdef');
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef', if_version => 1000);
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef', expires_at => '2001-01-01');
-- however it is quoted
SELECT key_vault.set('user_a', 'exa', 'literal''0123456789''abcdef') AS version, shown();
SELECT key_vault.set('user_a', 'exa', E'literal\\0123456789\\abcdef') AS version, shown();
SELECT key_vault.set('user_a', 'exa', 'literal\0123456789\abcdef') AS version, shown();
SELECT key_vault.set('user_a', 'exa', $$literal'0123456789'abcdef$$) AS version, shown();
SELECT key_vault.set('user_a', 'exa', $key$literal-0123456789abcdef$key$) AS version, shown();
SELECT key_vault.set('user_a', 'exa', 'short') AS version, shown();
SELECT key_vault.set('user_a', 'exa', $$short$$) AS version, shown();
SELECT key_vault.set('user_a', 'exa', 'x') AS version, shown();
-- twice in one statement, or after another one in one message
SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef'), key_vault.set('user_a', 'exa', 'literal-fedcba9876543210'), shown();
SELECT 1 AS one\; SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef') AS version, shown();
-- in EXECUTE, in VALUES, in a CTE, in DO, in EXPLAIN
PREPARE store(text) AS SELECT key_vault.set('user_a', 'exa', $1) AS version, shown();
EXECUTE store('literal-0123456789abcdef');
DEALLOCATE store;
SELECT key_vault.set('user_a', p, k) AS version, shown() FROM (VALUES ('exa', 'literal-0123456789abcdef'), ('serper', 'literal-fedcba9876543210')) v (p, k);
WITH k AS MATERIALIZED (SELECT 'literal-0123456789abcdef'::text AS k) SELECT key_vault.set('user_a', 'exa', k) AS version, shown() FROM k;
DO $$ BEGIN PERFORM key_vault.set('user_a', 'exa', 'literal-0123456789abcdef'); ASSERT shown() = 'DO $1;', shown(); END $$;
DO $$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''exa'', ''literal-0123456789abcdef'')'; ASSERT shown() = 'DO $1;', shown(); END $$;
EXPLAIN ANALYZE SELECT key_vault.set('user_a', 'exa', 'literal-0123456789abcdef') \g /dev/null
-- in the body of a function, which a message about an error would quote
CREATE FUNCTION store() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM key_vault.set('user_a', 'exa', 'literal-0123456789abcdef'); RETURN 0; END $$;
SELECT store() AS done;
DROP FUNCTION store;
-- as an argument of a function that passes it on: what is called, the text does not tell
CREATE FUNCTION pass_on(k text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN key_vault.set('user_a', 'exa', k); END $$;
SELECT pass_on('literal-0123456789abcdef') AS version, shown();
SELECT pass_on('literal-fedcba9876543210') AS version, shown();
DROP FUNCTION pass_on;
-- in the text of a .env file
SELECT provider, version, shown() FROM key_vault.import_dotenv('user_a', 'EXA_API_KEY=literal-0123456789abcdef');

-- not literally
\c -
SET client_min_messages = warning;
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', 'literal' || '-0123456789abcdef') AS version, shown();
SELECT key_vault.set('user_a', 'exa', repeat('x', 20)) AS version, shown();
-- out of a table
CREATE TEMP TABLE incoming (user_id text, provider text, api_key text);
COPY incoming FROM stdin;
user_b	exa	copied-0123456789abcdef
user_b	serper	copied-fedcba9876543210
user_b	deepl	x
user_b	cohere	it's
\.
SELECT provider, key_vault.set(user_id, provider, api_key) AS version FROM incoming;
-- out of a variable
DO $$
DECLARE
    k text = md5('a');
BEGIN
    PERFORM key_vault.set('user_b', 'exa', k);
    EXECUTE 'SELECT key_vault.set($1, $2, $3)' USING 'user_b', 'exa', k;
    EXECUTE 'SELECT key_vault.set($1, $2, $3)' USING 'user_b', 'exa', upper(k);
END $$;
-- a short key of which the text has the letters, but not as a literal
SELECT key_vault.set('user_b', 'exa', substr('xset', 2)) AS version, shown();
-- other calls do not care
SELECT key_vault.get('user_b', 'exa') = 'set' AS same, shown();
SELECT key_vault.get('user_a', 'exa') = repeat('x', 20) AS same;

DROP FUNCTION shown;
DROP EXTENSION key_vault;
