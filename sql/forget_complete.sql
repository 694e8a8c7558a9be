-- forget() leaves no row of any table about the user, and says what is out of its reach.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

-- how many rows of each table of ours have the user in any column
CREATE FUNCTION rows_about(who text) RETURNS TABLE (name regclass, has_user_id boolean, about bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR name, has_user_id IN
        SELECT c.oid, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id')
        FROM pg_class c WHERE c.relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND c.relkind IN ('r', 'p') ORDER BY c.relname
    LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE position($1 IN t::text) > 0', name) INTO about USING who;
        RETURN NEXT;
    END LOOP;
END $$;

-- all that can be stored about a user
SELECT key_vault.set('user-7f3a', 'exa', repeat('1', 20)), key_vault.set('user-7f3a', 'exa', repeat('2', 20)),
       key_vault.set('user-7f3a', 'exa', repeat('3', 20), 'work', now() + interval '1 day');
SELECT key_vault.record_usage('user-7f3a', 'exa', 3, 4, 0.05), key_vault.record_usage('user-7f3a', 'openai');
SELECT key_vault.set('user-b', 'exa', repeat('4', 20)), key_vault.record_usage('user-b', 'exa');
-- of a key of one's own, and of a team's
SELECT key_vault.record_outcome('user-7f3a', 'exa', 'accepted'), key_vault.set('team:acme', 'serper', repeat('5', 20));
SET key_vault.team_id = 'acme';
SET key_vault.user_id = 'user-7f3a';
SELECT key_vault.record_outcome(NULL, 'serper', 'quota');
RESET key_vault.user_id;
RESET key_vault.team_id;
INSERT INTO key_vault_data.last_uses SELECT user_id, provider, label, version, created_at, now(), 1 FROM key_vault_data.secrets WHERE label = 'work';
CALL key_vault.rotate_root_key();
INSERT INTO key_vault_data.audit (number, at, action, outcome, user_id, backend_pid, backend_start, mac)
VALUES (1, now(), 'get', 'ok', 'user-7f3a', 1, now(), '');
-- a table with none is one that this test forgot to fill
SELECT name, about FROM rows_about('user-7f3a') WHERE has_user_id OR about > 0;

SET client_min_messages = notice;
\set VERBOSITY default
SELECT key_vault.forget('user-7f3a');
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT name, about FROM rows_about('user-7f3a') WHERE about > 0;
SELECT name, about FROM rows_about('user-b') WHERE about > 0;

DROP FUNCTION rows_about;
DROP EXTENSION key_vault;
