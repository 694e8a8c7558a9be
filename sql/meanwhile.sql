-- What changes between two calls of get() in one statement, or in one transaction, counts for the second.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_none;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service');
SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-of-user-' || n)) FROM generate_series(1, 6) n;
SELECT count(key_vault.set('user_' || n, 'exa', 'newer-key-of-user-' || n)) FROM generate_series(4, 6) n;

-- the name of the n-th user; before the fourth, as the owner, the change: what fails is undone, and it goes on
CREATE FUNCTION user_after(n int, change text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF n = 4 THEN
        EXECUTE change;
    END IF;
    RETURN 'user_' || n;
EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('test.failed', SQLSTATE, true);
    RETURN 'user_' || n;
END $$;

-- gets of all, by a role whom the policy holds back; then all is undone
CREATE FUNCTION gets(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('test.failed', '', true);
    SET LOCAL ROLE regress_kv_service;
    EXECUTE 'SELECT string_agg(coalesce(key_vault.get(user_after(n, $1), ''exa''), ''NULL''), '' '') FROM generate_series(1, 6) n'
        INTO result USING change;
    result := concat_ws(' ', result, 'but ' || nullif(current_setting('test.failed'), ''));
    RAISE EXCEPTION USING ERRCODE = 'KVTST';
EXCEPTION
    WHEN SQLSTATE 'KVTST' THEN
        RETURN result;
    WHEN OTHERS THEN
        RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

CREATE VIEW changes AS SELECT * FROM unnest(ARRAY[
    'SELECT 1',
    'REINDEX TABLE key_vault_data.secrets',
    'REINDEX INDEX key_vault_data.secrets_pkey',
    'CLUSTER key_vault_data.secrets USING secrets_pkey',
    'ANALYZE key_vault_data.secrets',
    'ALTER INDEX key_vault_data.secrets_pkey SET (fillfactor = 50)',
    'ALTER INDEX key_vault_data.secrets_pkey RENAME TO other',
    'ALTER TABLE key_vault_data.secrets ADD COLUMN note text DEFAULT ''n''',
    'ALTER TABLE key_vault_data.secrets SET UNLOGGED',
    'ALTER TABLE key_vault_data.secrets SET (autovacuum_enabled = off)',
    'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey',
    'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey, ADD PRIMARY KEY (version, user_id, provider, label)',
    'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey, ADD PRIMARY KEY (user_id, provider, label, version)',
    'CREATE INDEX another ON key_vault_data.secrets (provider)',
    'CREATE POLICY another ON key_vault_data.secrets AS RESTRICTIVE USING (user_id <> ''user_5'')',
    'ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND user_id <> ''user_5'')',
    'ALTER POLICY own_rows ON key_vault_data.secrets TO regress_kv_user',
    'TRUNCATE key_vault_data.secrets',
    'DELETE FROM key_vault_data.secrets WHERE user_id = ''user_5''',
    'SELECT key_vault.set(''user_5'', ''exa'', ''set-meanwhile-of-user-5'')',
    'SELECT key_vault.delete(''user_5'', ''exa'')',
    'SELECT key_vault.forget(''user_6'')',
    'SELECT key_vault.get(''user_1'', ''no such provider'')',
    'SELECT 1 / (key_vault.get(''user_1'', ''exa'') IS NULL)::int',
    'CREATE TABLE child () INHERITS (key_vault_data.secrets)'
]) WITH ORDINALITY AS c (change, n);

SELECT change, gets(change) FROM changes ORDER BY n;

-- the right to read goes, the level goes, the policy no longer holds it back
SELECT gets('REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_service');
SELECT gets('SELECT key_vault.revoke_access(''regress_kv_service'')');
SELECT gets('ALTER ROLE regress_kv_service BYPASSRLS');

-- another role and another identity in one statement
CREATE FUNCTION become(role_name name, user_id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', role_name, true), set_config('key_vault.user_id', user_id, true);
    RETURN 'user_1';
END $$;
CREATE FUNCTION get_as(role_name name, identity text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN key_vault.get(become(role_name, identity), 'exa');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
BEGIN;
SELECT get_as(role_name, identity)
FROM (VALUES ('regress_kv_service'::name, ''), ('regress_kv_service', 'user_1'), ('regress_kv_service', 'user_2'), ('none', ''), ('regress_kv_user', 'user_1'), ('none', 'user_2'), ('regress_kv_none', 'user_1'), ('none', '')) w (role_name, identity);
ROLLBACK;

-- an error in the midst of a scan
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND 1 / (version - 2) <> 0);
SET ROLE regress_kv_service;
SELECT key_vault.get('user_1', 'exa');
SELECT key_vault.get('user_4', 'exa');
SELECT key_vault.get('user_1', 'exa');
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 4) n;
BEGIN;
SELECT key_vault.get('user_1', 'exa');
SAVEPOINT s;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(3, 4) n;
ROLLBACK TO s;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(2, 3) n;
COMMIT;
RESET ROLE;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());

-- one that does not open among others that do, and a set between them
BEGIN;
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'user_3';
SAVEPOINT s;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 6) n;
ROLLBACK TO s;
CREATE FUNCTION try(user_id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN key_vault.get(user_id, 'exa');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT try('user_' || n), key_vault.set('user_' || n, 'serper', 'serper-of-user-' || n), key_vault.get('user_' || n, 'serper') FROM generate_series(1, 4) n;
ROLLBACK;

-- a cursor that goes on in other subtransactions, and beyond its transaction
BEGIN;
DECLARE c CURSOR FOR SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 6) n;
FETCH 2 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
SELECT key_vault.set('user_4', 'exa', 'set-beside-the-cursor');
ROLLBACK TO s;
FETCH 1 FROM c;
REINDEX TABLE key_vault_data.secrets;
FETCH 2 FROM c;
DECLARE h CURSOR WITH HOLD FOR SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 6) n;
FETCH 1 FROM h;
COMMIT;
SELECT key_vault.get('user_2', 'exa');
FETCH ALL FROM h;
CLOSE h;

-- the locks that a lookup takes are held to the end of the transaction, also when the first that took them is undone
CREATE VIEW held AS SELECT string_agg(DISTINCT relation::regclass::text, ' ') AS relations FROM pg_locks
WHERE pid = pg_backend_pid() AND relation::regclass::text ~ '^key_vault_data.secrets' AND mode = 'AccessShareLock';
CREATE FUNCTION fail_at(n int, at int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'user_' || 1 / (n <> at)::int; END $$;
BEGIN;
SELECT key_vault.get('user_1', 'exa');
TABLE held;
COMMIT;
BEGIN;
SAVEPOINT s;
SELECT key_vault.get('user_1', 'exa');
ROLLBACK TO s;
TABLE held;
SELECT key_vault.get('user_1', 'exa');
TABLE held;
COMMIT;
BEGIN;
SAVEPOINT s;
SELECT key_vault.get('user_1', 'exa');
RELEASE s;
TABLE held;
SELECT key_vault.get('user_1', 'exa');
TABLE held;
COMMIT;
-- a cursor that fails in a subtransaction gives up what it had locked before
BEGIN;
DECLARE c CURSOR FOR SELECT key_vault.get(fail_at(n, 2), 'exa') FROM generate_series(1, 2) n;
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
TABLE held;
SELECT key_vault.get('user_1', 'exa');
TABLE held;
COMMIT;

-- in a loop, whose expressions last as long as the transaction, and in one that commits
DO $$
DECLARE
    u text;
BEGIN
    FOR n IN 1 .. 6 LOOP
        u := key_vault.get('user_' || n, 'exa');
        IF n = 3 THEN
            ALTER TABLE key_vault_data.secrets ADD COLUMN note text;
        ELSIF n = 4 THEN
            ALTER TABLE key_vault_data.secrets DROP COLUMN note;
        ELSIF n = 5 THEN
            COMMIT;
        END IF;
        RAISE WARNING '%', u;
    END LOOP;
END $$;

-- the extension goes and comes back, in one transaction
BEGIN;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 2) n;
DROP VIEW held;
SET client_min_messages = error;
DROP EXTENSION key_vault;
SELECT key_vault.get('user_1', 'exa');
ROLLBACK;
BEGIN;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 2) n;
DROP EXTENSION key_vault;
CREATE EXTENSION key_vault;
SELECT key_vault.get('user_1', 'exa') IS NULL AS none;
ROLLBACK;
SET client_min_messages = warning;
SELECT key_vault.get('user_' || n, 'exa') FROM generate_series(1, 2) n;

DROP VIEW changes, held;
DROP FUNCTION user_after, gets, become, get_as, fail_at;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_none;
