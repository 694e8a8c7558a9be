-- rotate_root_key(): all that other root keys sealed, batch by batch.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.create_root_key() AS first \gset
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;
SELECT key_vault.set('user_' || n, 'exa', make_key(n)) FROM generate_series(1, 7) AS n;
-- versions, labels, an expiry, a key that goes to TOAST, and one without a hint
SELECT key_vault.set('user_3', 'exa', make_key(33)), key_vault.set('user_3', 'exa', make_key(34), 'work', now() + interval '1 day'),
       key_vault.set('user_4', 'serper', repeat('long', 16000)), key_vault.set('user_4', 'tavily', lower('TVLY-SHORT'));
CREATE TABLE before AS SELECT * FROM key_vault.secrets;
CREATE VIEW changed AS
    SELECT s.user_id, s.provider, s.label, s.version,
           s.sealed IS DISTINCT FROM b.sealed AS sealed, s.root_key_id IS DISTINCT FROM b.root_key_id AS root_key,
           (s.hint, s.expires_at, s.created_at) IS DISTINCT FROM (b.hint, b.expires_at, b.created_at) AS anything_else
    FROM key_vault.secrets s FULL JOIN before b USING (user_id, provider, label, version);
CREATE VIEW unreadable AS
    SELECT user_id, provider, label FROM (VALUES
        ('user_1', 'exa', 'default', make_key(1)), ('user_2', 'exa', 'default', make_key(2)),
        ('user_3', 'exa', 'default', make_key(33)), ('user_3', 'exa', 'work', make_key(34)),
        ('user_4', 'exa', 'default', make_key(4)), ('user_4', 'serper', 'default', repeat('long', 16000)),
        ('user_4', 'tavily', 'default', 'tvly-short'), ('user_5', 'exa', 'default', make_key(5)),
        ('user_6', 'exa', 'default', make_key(6)), ('user_7', 'exa', 'default', make_key(7))) AS k (user_id, provider, label, api_key)
    WHERE key_vault.get(user_id, provider, label) IS DISTINCT FROM api_key;

-- nothing to do yet
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.rotate_root_key();
SELECT state, total, done, failed, remaining FROM key_vault.rotation_progress;
\set VERBOSITY sqlstate
SET client_min_messages = warning;

SELECT key_vault.create_root_key() AS second \gset
SELECT key_vault.activate_root_key(:'second');

-- who may, and where
SET ROLE regress_kv_user;
CALL key_vault.rotate_root_key();
SELECT * FROM key_vault.rotation_progress;
SET ROLE regress_kv_admin;
BEGIN;
CALL key_vault.rotate_root_key();
ROLLBACK;
DO $$ BEGIN CALL key_vault.rotate_root_key(); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
RESET ROLE;
CREATE FUNCTION in_function() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL key_vault.rotate_root_key(); END';
SELECT in_function();
DROP FUNCTION in_function;
SET default_transaction_read_only = on;
CALL key_vault.rotate_root_key();
RESET default_transaction_read_only;
CALL key_vault.rotate_root_key(NULL);
CALL key_vault.rotate_root_key(0);
CALL key_vault.rotate_root_key(10001);
\set VERBOSITY default
BEGIN;
CALL key_vault.rotate_root_key();
ROLLBACK;
\set VERBOSITY sqlstate
SELECT count(*) FROM changed WHERE sealed;

-- the old root key is in use
SELECT key_vault.retire_root_key(:'first');

-- an error in the second batch: the first one stays, and the caller is who they were
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.user_id = 'user_3' AND NEW.label = 'work' THEN RAISE 'poisoned'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION poison();
SET ROLE regress_kv_admin;
CALL key_vault.rotate_root_key(3);
SELECT current_user;
SELECT count(*) FROM key_vault.secrets;
SELECT state, total, done, remaining FROM key_vault.rotation_progress;
RESET ROLE;
SELECT user_id, label, version FROM changed WHERE root_key ORDER BY 1, 2, 3;
SELECT * FROM unreadable;
DROP TRIGGER poison ON key_vault_data.secrets;
DROP FUNCTION poison;

-- the table's policies decide on each row: it goes on only where they let it
CREATE POLICY hands_off ON key_vault_data.secrets AS RESTRICTIVE FOR UPDATE USING (user_id <> 'user_4') WITH CHECK (true);
SET ROLE regress_kv_admin;
CALL key_vault.rotate_root_key(1);
SELECT current_user, key_vault.current_user_id();
RESET ROLE;
SELECT count(*) FROM changed WHERE root_key;
ALTER POLICY hands_off ON key_vault_data.secrets USING (true) WITH CHECK (user_id <> 'user_5');
CALL key_vault.rotate_root_key(1);
SELECT count(*) FROM changed WHERE root_key;
DROP POLICY hands_off ON key_vault_data.secrets;

-- what does not open is told, left as it is, and does not stop the rest; an identity changes nothing
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) WHERE user_id = 'user_6';
UPDATE before SET sealed = s.sealed FROM key_vault.secrets s WHERE s.user_id = 'user_6' AND before.user_id = 'user_6';
SET key_vault.user_id = 'user_1';
SET ROLE regress_kv_admin;
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.rotate_root_key(2);
CALL key_vault.rotate_root_key();
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT state, total, done, failed, remaining, per_second >= 0 AS rate, pid = pg_backend_pid() AS mine,
       finished_at >= started_at AS in_order FROM key_vault.rotation_progress;
SELECT state, secrets FROM key_vault.root_keys ORDER BY state;
RESET ROLE;
RESET key_vault.user_id;
SELECT user_id, label, version FROM changed WHERE NOT root_key OR NOT sealed OR anything_else;
SELECT * FROM unreadable WHERE user_id <> 'user_6';
SELECT key_vault.get('user_6', 'exa');
SELECT key_vault.retire_root_key(:'first');
SELECT key_vault.set('user_6', 'exa', make_key(6));
SELECT key_vault.delete('user_6', 'exa'), key_vault.set('user_6', 'exa', make_key(6));
SELECT key_vault.retire_root_key(:'first');

-- back and forth, by other ways to call it, and at other isolation levels
SELECT key_vault.create_root_key() AS third \gset
SELECT key_vault.activate_root_key(:'third');
SET default_transaction_isolation = 'serializable';
DO $$ BEGIN CALL key_vault.rotate_root_key(4); END $$;
SHOW transaction_isolation;
RESET default_transaction_isolation;
SELECT DISTINCT root_key_id = :'third' AS third FROM key_vault.secrets;
SELECT key_vault.activate_root_key(:'second');
CREATE PROCEDURE around() LANGUAGE plpgsql AS $$
DECLARE
    n int;
BEGIN
    FOR n IN SELECT * FROM generate_series(1, 2) LOOP
        CALL key_vault.rotate_root_key(n);
        COMMIT;
    END LOOP;
END $$;
CALL around();
DROP PROCEDURE around;
SELECT DISTINCT root_key_id = :'second' AS second FROM key_vault.secrets;
SELECT * FROM unreadable;

-- rows in another table of the tree, at places that the first one has, too
CREATE TABLE child (PRIMARY KEY (user_id, provider, label, version)) INHERITS (key_vault_data.secrets);
VACUUM FULL key_vault_data.secrets;
WITH moved AS (DELETE FROM ONLY key_vault_data.secrets WHERE user_id IN ('user_5', 'user_7') RETURNING *)
INSERT INTO child SELECT * FROM moved ORDER BY user_id;
SELECT count(*) > 0 AS some FROM child JOIN ONLY key_vault_data.secrets s ON s.ctid = child.ctid;
SELECT key_vault.activate_root_key(:'third');
CALL key_vault.rotate_root_key();
SELECT DISTINCT root_key_id = :'third' AS third FROM key_vault.secrets;
SELECT * FROM unreadable;
WITH moved AS (DELETE FROM child RETURNING *) INSERT INTO key_vault_data.secrets SELECT * FROM moved;
DROP TABLE child;

-- in a snapshot of its own a transaction cannot count what is sealed
SELECT id AS unused FROM key_vault.root_keys WHERE state = 'standby' AND secrets = 0 ORDER BY id LIMIT 1 \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT key_vault.retire_root_key(:'unused');
ROLLBACK;
-- what is activated last is active, also after the clock was set back
UPDATE key_vault_data.root_key_registry SET activated_at = activated_at + interval '1 day' WHERE id = :'third';
SELECT key_vault.activate_root_key(:'second');
SELECT id = :'second' AS second FROM key_vault.root_keys WHERE state = 'active';
SELECT key_vault.activate_root_key(:'third');
SELECT id = :'third' AS third FROM key_vault.root_keys WHERE state = 'active';

-- a root key that is not in this database's registry opens nothing here; it is told, too
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef' WHERE user_id = 'user_7';
SELECT key_vault.activate_root_key(:'second');
\set VERBOSITY default
CALL key_vault.rotate_root_key();
\set VERBOSITY sqlstate

-- and without an active root key there is nothing to seal with
TRUNCATE key_vault_data.root_key_registry;
CALL key_vault.rotate_root_key();

-- what to do about a root key that is lost
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('0123456789abcdef', now());
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef' WHERE user_id = 'user_3';
\set VERBOSITY default
SELECT key_vault.retire_root_key('0123456789abcdef');
\set VERBOSITY sqlstate

DROP VIEW unreadable, changed;
DROP TABLE before;
DROP FUNCTION make_key;
DROP EXTENSION key_vault;
DROP ROLE regress_kv_admin, regress_kv_user;
