-- discard_secrets(): gives up what a lost root key sealed, batch by batch.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
CREATE ROLE regress_kv_admin;
SELECT key_vault.grant_access('regress_kv_admin', 'admin');
SELECT key_vault.create_root_key() AS kept \gset
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;
SELECT count(key_vault.set('user_' || n, 'exa', make_key(n))) FROM generate_series(1, 5) AS n;

-- Two versions each.  Lost will be: of user_6 the older one, of user_7 and user_70 the current one, of user_8 both
SELECT count(key_vault.set('user_' || n, 'exa', make_key(v))) FROM unnest('{6,7,70,8}'::int[]) AS n, generate_series(1, 2) AS v;
-- and of user_9 the one with another label
SELECT key_vault.set('user_9', 'exa', make_key(9)), key_vault.set('user_9', 'exa', make_key(99), 'work');

-- A root key that the keyring lacks
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('0123456789abcdef', now());
CREATE FUNCTION lose() RETURNS void LANGUAGE sql AS $$
    UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef'
    WHERE user_id < 'user_6' OR (user_id = 'user_6' AND version = 1) OR (user_id IN ('user_7', 'user_70') AND version = 2)
       OR user_id = 'user_8' OR (user_id = 'user_9' AND label = 'work') $$;
SELECT lose();
SELECT state, secrets FROM key_vault.root_keys ORDER BY state;

-- the older version can be made the current one before
SELECT key_vault.rollback('user_70', 'exa', 1);

-- who may, and where
SET ROLE regress_kv_admin;
CALL key_vault.discard_secrets('0123456789abcdef');
RESET ROLE;
GRANT EXECUTE ON PROCEDURE key_vault.discard_secrets TO regress_kv_admin;
SET ROLE regress_kv_admin;
CALL key_vault.discard_secrets('0123456789abcdef');
RESET ROLE;
REVOKE EXECUTE ON PROCEDURE key_vault.discard_secrets FROM regress_kv_admin;
BEGIN;
CALL key_vault.discard_secrets('0123456789abcdef');
ROLLBACK;
DO $$ BEGIN CALL key_vault.discard_secrets('0123456789abcdef'); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SET default_transaction_read_only = on;
CALL key_vault.discard_secrets('0123456789abcdef');
RESET default_transaction_read_only;
CALL key_vault.discard_secrets(NULL);
CALL key_vault.discard_secrets('');
CALL key_vault.discard_secrets('0123456789ABCDEF');
CALL key_vault.discard_secrets('0123456789abcdef', NULL);
CALL key_vault.discard_secrets('0123456789abcdef', 0);
CALL key_vault.discard_secrets('0123456789abcdef', 10001);
CALL key_vault.discard_secrets('fedcba9876543210');
-- what opens is not lost
CALL key_vault.discard_secrets(:'kept');
SELECT count(*) FROM key_vault_data.secrets;

-- an error in the second batch: the first one stays removed, and the caller is who they were
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.user_id = 'user_4' THEN RAISE 'poisoned'; END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER poison BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION poison();
CALL key_vault.discard_secrets('0123456789abcdef', 2);
SELECT current_user = session_user AS same, key_vault.current_user_id() IS NULL AS nobody;
SELECT string_agg(user_id, ' ' ORDER BY user_id) FROM key_vault_data.secrets WHERE user_id < 'user_6';
DROP TRIGGER poison ON key_vault_data.secrets;
DROP FUNCTION poison;

-- the table's policies decide on each row
CREATE POLICY hands_off ON key_vault_data.secrets AS RESTRICTIVE FOR DELETE USING (user_id <> 'user_4');
CALL key_vault.discard_secrets('0123456789abcdef', 1);
SELECT string_agg(user_id, ' ' ORDER BY user_id) FROM key_vault_data.secrets WHERE user_id < 'user_6';
DROP POLICY hands_off ON key_vault_data.secrets;

-- a trigger that keeps a row is told of
SET client_min_messages = notice;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW WHEN (OLD.user_id = 'user_5') EXECUTE FUNCTION keep();
\set VERBOSITY default
CALL key_vault.discard_secrets('0123456789abcdef', 1);
DROP TRIGGER keep ON key_vault_data.secrets;
DROP FUNCTION keep;
CALL key_vault.discard_secrets('0123456789abcdef');
CALL key_vault.discard_secrets('0123456789abcdef');
-- what is left opens, and no older key came back
SELECT user_id, label, version, key_vault.get(user_id, 'exa', label) FROM key_vault_data.secrets ORDER BY 1, 2, 3;
SELECT key_vault.get('user_7', 'exa') IS NULL AS gone;
SELECT key_vault.set('user_7', 'exa', make_key(3));
SELECT key_vault.retire_root_key('0123456789abcdef');
SELECT state, secrets FROM key_vault.root_keys ORDER BY state;

-- The hint of retire_root_key() leads there, also for a root key that nobody registered
UPDATE key_vault_data.secrets SET root_key_id = 'fedcba9876543210' WHERE user_id = 'user_6';
CALL key_vault.discard_secrets('fedcba9876543210');
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('fedcba9876543210', now());
UPDATE key_vault_data.secrets SET root_key_id = 'fedcba9876543210' WHERE user_id = 'user_7';
SELECT key_vault.retire_root_key('fedcba9876543210');
CALL key_vault.discard_secrets('fedcba9876543210');
SELECT key_vault.retire_root_key('fedcba9876543210');
SELECT state, secrets FROM key_vault.root_keys ORDER BY state, secrets;

DROP EXTENSION key_vault;
DROP FUNCTION lose, make_key;
DROP OWNED BY regress_kv_admin;
DROP ROLE regress_kv_admin;
