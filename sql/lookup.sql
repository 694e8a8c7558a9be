-- lookup(): a key with all that a call needs besides it, in one row or none.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_admin;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_admin', 'admin');

SELECT key_vault.set('user_a', 'exa', 'a-first-key-' || repeat('1', 12), attributes => '{"base_url": "https://eu.example.com"}'),
       key_vault.set('user_a', 'exa', 'a-second-key-' || repeat('2', 12), attributes => '{"base_url": "https://us.example.com", "retries": 3}'),
       key_vault.set('user_a', 'exa', 'a-work-key-' || repeat('w', 12), 'work', '2999-01-01 00:00:00+00'),
       key_vault.set('user_a', 'gemini', 'AIza' || repeat('g', 35), attributes => '{}'),
       key_vault.set('user_b', 'exa', 'b-key-' || repeat('b', 20));

-- the current version's own
SELECT * FROM key_vault.lookup('user_a', 'exa');
SELECT api_key, source, label, version, expires_at AT TIME ZONE 'UTC' AS expires_at, attributes FROM key_vault.lookup(label => 'work', provider => ' EXA ', user_id => 'user_a');
SELECT * FROM key_vault.lookup('user_a', 'google');
SELECT api_key, attributes ->> 'base_url' AS base_url FROM key_vault.lookup('user_a', 'exa') WHERE key_vault.rollback('user_a', 'exa', 1) = 3;
SELECT api_key, version, attributes FROM key_vault.lookup('user_a', 'exa');
-- the same as get, which a lookup is for each
SELECT count(*), bool_and(k.api_key = key_vault.get(l.user_id, l.provider, l.label)) AS same, bool_and(k.attributes IS NOT DISTINCT FROM l.attributes) AS same_attributes
FROM key_vault.secrets l, LATERAL key_vault.lookup(l.user_id, l.provider, l.label) k WHERE l.version = k.version;

-- none: no row, not a row of NULLs
SELECT key_vault.set('user_a', 'serper', repeat('s', 20), expires_at => clock_timestamp() + interval '20 ms', attributes => '{"region": "eu"}');
SELECT pg_sleep(0.03);
SELECT count(*) FROM key_vault.lookup('user_a', 'serper');
SELECT count(*) FROM key_vault.lookup('user_a', 'groq');
SELECT count(*) FROM key_vault.lookup('user_a', 'exa', 'nobody');
SELECT count(*) FROM key_vault.lookup('user_c', 'exa');
SELECT u, k.version FROM unnest('{user_a,user_c,user_b}'::text[]) u LEFT JOIN LATERAL key_vault.lookup(u, 'exa') k ON true;
-- errors as those of get
SELECT * FROM key_vault.lookup('user_a', 'exo');
SELECT * FROM key_vault.lookup('user_a', NULL);
SELECT * FROM key_vault.lookup('user_a', 'exa', NULL);
SELECT * FROM key_vault.lookup('', 'exa');
SELECT * FROM key_vault.lookup(NULL, 'exa');

-- in a target list, in an expression, in a cursor, as a table's columns
SELECT (key_vault.lookup('user_b', 'exa')).*;
SELECT key_vault.lookup('user_a', 'groq');
SELECT (SELECT l.attributes ->> 'retries' FROM key_vault.lookup('user_a', 'exa') l);
BEGIN;
DECLARE both_ways SCROLL CURSOR FOR SELECT api_key FROM key_vault.lookup('user_b', 'exa');
FETCH FROM both_ways;
FETCH FROM both_ways;
FETCH PRIOR FROM both_ways;
COMMIT;
-- the key and its attributes at their largest, while a sort may take next to no memory: nothing goes to a temporary file
SELECT key_vault.set('user_l', 'exa', repeat('k', 65536), attributes => jsonb_build_object('a', repeat('x', 4088)));
SET work_mem = '64kB';
SET temp_file_limit = 0;
SELECT octet_length(api_key), octet_length(attributes::text) FROM key_vault.lookup('user_l', 'exa');
RESET temp_file_limit;
RESET work_mem;

-- a team's, for a member who has none: with the team's own attributes
SELECT key_vault.set('team:acme', 'exa', 'team-key-' || repeat('t', 12), attributes => '{"base_url": "https://acme.example.com"}');
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT u, k.* FROM unnest('{user_c,user_b,team:acme}'::text[]) u, LATERAL key_vault.lookup(u, 'exa') k;
COMMIT;
SELECT count(*) FROM key_vault.lookup('user_c', 'exa');

-- who may: the levels that may get
SET ROLE regress_kv_user;
SELECT api_key FROM key_vault.lookup('user_a', 'exa');
RESET ROLE;
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SET LOCAL ROLE regress_kv_user;
SELECT api_key, source FROM key_vault.lookup(NULL, 'exa');
SELECT api_key FROM key_vault.lookup('user_a', 'exa');
ROLLBACK;
SET ROLE regress_kv_service;
SELECT api_key FROM key_vault.lookup('user_a', 'exa');
SELECT key_vault.current_user_id() IS NULL AS is_nobody;
SET ROLE regress_kv_admin;
SELECT api_key FROM key_vault.lookup('user_a', 'exa');
RESET ROLE;
-- what it is to the planner, and that a plan shows no key
SELECT provolatile, proparallel, proleakproof, proretset FROM pg_proc WHERE oid = 'key_vault.lookup'::regproc;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM key_vault.lookup('user_a', 'exa') WHERE api_key LIKE 'a%';

-- a row that was changed does not open
UPDATE key_vault_data.secrets SET attributes = '{"base_url": "https://evil.example.com"}' WHERE user_id = 'user_b';
SELECT * FROM key_vault.lookup('user_b', 'exa');
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
SELECT * FROM key_vault.lookup('user_b', 'exa');
SELECT version, attributes FROM key_vault.lookup('user_a', 'exa');

SELECT key_vault.revoke_access('regress_kv_service'), key_vault.revoke_access('regress_kv_user'), key_vault.revoke_access('regress_kv_admin');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_admin;
