-- Views, functions, triggers, rules, casts and plans of somebody's own: they read what the one who
-- runs them may read, for the identity that holds when they run.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_a;
CREATE ROLE regress_kv_b;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_nobody;
CREATE ROLE regress_kv_pool;
GRANT regress_kv_a, regress_kv_b, regress_kv_service TO regress_kv_pool;
SELECT key_vault.grant_access('regress_kv_a', 'user'), key_vault.grant_access('regress_kv_b', 'user'), key_vault.grant_access('regress_kv_service', 'service');
SELECT key_vault.set(u, 'exa', 'canary-of-' || u || repeat('x', 12)) FROM unnest('{user_a,user_b}'::text[]) u;
CREATE SCHEMA regress_kv_own;
GRANT ALL ON SCHEMA regress_kv_own TO PUBLIC;

-- a view of the table: the owner's rights, the reader's identity
SET ROLE regress_kv_a;
CREATE VIEW regress_kv_own.rows AS SELECT user_id, provider, sealed IS NOT NULL AS sealed FROM key_vault.secrets;
CREATE VIEW regress_kv_own.keys AS SELECT u, key_vault.get(u, 'exa') FROM unnest('{user_a}'::text[]) u;
GRANT SELECT ON regress_kv_own.rows, regress_kv_own.keys TO PUBLIC;
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_b;
SELECT * FROM regress_kv_own.rows;
SELECT * FROM regress_kv_own.keys;
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_nobody;
SELECT * FROM regress_kv_own.rows;
SELECT * FROM regress_kv_own.keys;
SET ROLE regress_kv_a;
SELECT * FROM regress_kv_own.rows;
SELECT * FROM regress_kv_own.keys;
RESET ROLE;
-- a view by one who may read is no way in for one who may not call
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_nobody;
SELECT * FROM regress_kv_own.keys;
RESET ROLE;
RESET key_vault.user_id;

-- a function with its owner's rights: for the identity, or for nobody
SET ROLE regress_kv_a;
CREATE FUNCTION regress_kv_own.helper(u text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT key_vault.get(u, 'exa') $$;
RESET ROLE;
SET ROLE regress_kv_nobody;
SELECT regress_kv_own.helper('user_a');
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_b;
SELECT regress_kv_own.helper('user_a');
SELECT regress_kv_own.helper('user_b');
RESET ROLE;
RESET key_vault.user_id;
-- a service that makes such a function hands out what it may do itself
SET ROLE regress_kv_service;
CREATE FUNCTION regress_kv_own.own_key() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT key_vault.get('user_a', 'exa') $$;
SET ROLE regress_kv_nobody;
SELECT regress_kv_own.own_key() = 'canary-of-user_a' || repeat('x', 12) AS as_the_service_meant;
RESET ROLE;
-- but not to those whose transaction acts for another
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_nobody;
SELECT regress_kv_own.own_key();
RESET ROLE;
RESET key_vault.user_id;

-- a function that the planner may run early, or move: it does not see other rows
SET ROLE regress_kv_b;
CREATE FUNCTION regress_kv_own.leak(u text, s bytea) RETURNS bool LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE WARNING 'saw %', u; RETURN true; END $$;
CREATE FUNCTION regress_kv_own.leaky(u text) RETURNS bool LANGUAGE plpgsql LEAKPROOF AS $$ BEGIN RETURN true; END $$;
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_b;
\set VERBOSITY terse
SELECT count(*) FROM key_vault.secrets WHERE regress_kv_own.leak(user_id, sealed);
SELECT count(*) FROM key_vault.secrets WHERE regress_kv_own.leak(user_id, sealed) OR user_id = 'user_a';
SELECT count(*) FROM key_vault.secrets s JOIN LATERAL (SELECT regress_kv_own.leak(s.user_id, s.sealed) OFFSET 0) l ON true;
SELECT count(*) FROM key_vault.api_keys WHERE regress_kv_own.leak(session_id, NULL);
SELECT count(*) FROM key_vault.secrets WHERE 1 / length(user_id) > -1 AND user_id::int = 1;
\set VERBOSITY sqlstate
RESET ROLE;
RESET key_vault.user_id;
-- nor does a cast or an operator of their own
SET ROLE regress_kv_b;
CREATE TYPE regress_kv_own.box AS (t text);
CREATE FUNCTION regress_kv_own.to_box(text) RETURNS regress_kv_own.box LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'cast saw %', $1; RETURN row($1); END $$;
CREATE CAST (text AS regress_kv_own.box) WITH FUNCTION regress_kv_own.to_box(text) AS IMPLICIT;
CREATE FUNCTION regress_kv_own.same(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'operator saw % and %', $1, $2; RETURN true; END $$;
CREATE OPERATOR regress_kv_own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_kv_own.same, RESTRICT = eqsel);
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_b;
\set VERBOSITY terse
SELECT count(*) FROM key_vault.secrets WHERE user_id::regress_kv_own.box IS NOT NULL;
SELECT count(*) FROM key_vault.secrets WHERE user_id OPERATOR(regress_kv_own.=) 'user_a';
SELECT key_vault.get('user_b', 'exa') OPERATOR(regress_kv_own.=) 'x' AS own_key;
\set VERBOSITY sqlstate
-- triggers and rules on our tables are not theirs to make; on their own tables they run for the identity
CREATE TRIGGER t AFTER INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE r AS ON INSERT TO key_vault_data.secrets DO ALSO NOTHING;
CREATE TABLE regress_kv_own.bait (u text, k text);
CREATE FUNCTION regress_kv_own.bait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k := key_vault.get(NEW.u, 'exa'); RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON regress_kv_own.bait FOR EACH ROW EXECUTE FUNCTION regress_kv_own.bait();
CREATE RULE r AS ON DELETE TO regress_kv_own.bait DO INSTEAD SELECT key_vault.get('user_a', 'exa');
GRANT ALL ON regress_kv_own.bait TO PUBLIC;
INSERT INTO regress_kv_own.bait VALUES ('user_a');
INSERT INTO regress_kv_own.bait VALUES ('user_b') RETURNING k;
DELETE FROM regress_kv_own.bait;
RESET ROLE;
RESET key_vault.user_id;

-- a plan that was made under one identity or role, and is used under another
SET ROLE regress_kv_service;
PREPARE plan AS SELECT key_vault.get($1, 'exa');
PREPARE mine AS SELECT key_vault.get(NULL, 'exa');
PREPARE rows AS SELECT user_id, provider FROM key_vault.secrets;
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
EXECUTE plan('user_a');
EXECUTE mine;
EXECUTE rows;
EXECUTE rows;
EXECUTE rows;
EXECUTE rows;
EXECUTE rows;
EXECUTE rows;
COMMIT;
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
EXECUTE mine;
EXECUTE rows;
EXECUTE plan('user_a');
ROLLBACK;
EXECUTE mine;
EXECUTE rows;
RESET ROLE;
-- as a superuser, who reads all rows, and back
EXECUTE rows;
SET ROLE regress_kv_service;
EXECUTE rows;
RESET ROLE;
SET ROLE regress_kv_nobody;
EXECUTE rows;
EXECUTE plan('user_a');
RESET ROLE;

-- a cursor that was opened for one user: what it has not read yet is for whoever is acted for now
SET ROLE regress_kv_service;
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
DECLARE c CURSOR FOR SELECT u, key_vault.get(u, 'exa') FROM unnest('{user_a,user_a,user_b}'::text[]) u;
DECLARE r CURSOR FOR SELECT user_id FROM key_vault.secrets;
FETCH c;
SET LOCAL key_vault.user_id = 'user_b';
SAVEPOINT s;
FETCH c;
ROLLBACK TO s;
FETCH ALL r;
ROLLBACK;
-- one that outlives its transaction has read it all before
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
DECLARE h CURSOR WITH HOLD FOR SELECT key_vault.get(NULL, 'exa');
COMMIT;
FETCH h;
CLOSE h;
RESET ROLE;

-- the role changes in the middle of a transaction
SET SESSION AUTHORIZATION regress_kv_pool;
BEGIN;
SET LOCAL ROLE regress_kv_service;
SET LOCAL key_vault.user_id = 'user_a';
SELECT key_vault.get(NULL, 'exa') IS NOT NULL AS got;
SET LOCAL ROLE regress_kv_b;
SELECT key_vault.get(NULL, 'exa') IS NOT NULL AS got;
SAVEPOINT s;
SELECT key_vault.get('user_b', 'exa');
ROLLBACK TO s;
SET LOCAL key_vault.user_id = 'user_b';
ROLLBACK TO s;
RESET ROLE;
SELECT key_vault.get(NULL, 'exa');
ROLLBACK TO s;
SET LOCAL ROLE regress_kv_service;
SET LOCAL key_vault.user_id = '';
SELECT key_vault.get('user_b', 'exa') IS NOT NULL AS got;
SET LOCAL ROLE regress_kv_b;
SELECT key_vault.get('user_b', 'exa');
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- what the planner shows or knows: no plaintext, and get() is not moved below a barrier
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_a;
CREATE TABLE regress_kv_own.t AS SELECT 1 AS i;
CREATE FUNCTION regress_kv_own.explained(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || statement LOOP
        IF line LIKE '%canary%' THEN
            RETURN true;
        END IF;
    END LOOP;
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, BUFFERS, COSTS OFF) ' || statement LOOP
        IF line LIKE '%canary%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT statement, regress_kv_own.explained(statement) AS shows_the_key FROM unnest(ARRAY[
    'SELECT key_vault.get(''user_a'', ''exa'')', 'SELECT * FROM regress_kv_own.t WHERE key_vault.get(''user_a'', ''exa'') = i::text',
    'SELECT * FROM key_vault.get(''user_a'', ''exa'') k WHERE k LIKE ''c%''', 'SELECT key_vault.require(''user_a'', ''exa'') FROM regress_kv_own.t ORDER BY 1',
    'SELECT key_vault.get_all(''user_a'') ->> ''exa''', 'SELECT * FROM key_vault.api_keys', 'SELECT * FROM key_vault.secrets WHERE sealed > key_vault.get(''user_a'', ''exa'')::bytea']) statement;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM regress_kv_own.t WHERE key_vault.get('user_a', 'exa') = 'x';
-- the planner's statistics of the table are not for those whom its policy keeps out
RESET ROLE;
ANALYZE key_vault_data.secrets;
SET ROLE regress_kv_a;
SELECT count(*) FROM pg_stats WHERE schemaname = 'key_vault_data' AND tablename = 'secrets';
SELECT count(*) FROM pg_statistic;
RESET ROLE;
SELECT attname FROM pg_stats WHERE schemaname = 'key_vault_data' AND tablename = 'secrets' AND attname IN ('sealed', 'hint');
RESET key_vault.user_id;

-- what is only for the extension itself is of no use to others
SET ROLE regress_kv_a;
CREATE TRIGGER t AFTER INSERT ON regress_kv_own.t EXECUTE FUNCTION key_vault.metadata_changed();
CREATE FUNCTION regress_kv_own.get(text, text, text) RETURNS text LANGUAGE c AS 'key_vault', 'kv_sql_get';
ALTER FUNCTION key_vault.current_user_id() STABLE;
RESET ROLE;
CREATE TRIGGER t AFTER INSERT ON regress_kv_own.t EXECUTE FUNCTION key_vault.metadata_changed();
INSERT INTO regress_kv_own.t VALUES (2);
SELECT key_vault.metadata_changed();

DEALLOCATE ALL;
SELECT key_vault.revoke_access('regress_kv_service');
DROP TRIGGER t ON regress_kv_own.t;
DROP EXTENSION key_vault CASCADE;
SET client_min_messages = error;
DROP SCHEMA regress_kv_own CASCADE;
DROP ROLE regress_kv_a, regress_kv_b, regress_kv_service, regress_kv_nobody, regress_kv_pool;
