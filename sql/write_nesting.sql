-- Triggers and policies that write secrets while one is written: what would never end is an
-- error that says so, and what ends is done.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
SELECT key_vault.grant_access('regress_kv_service', 'service');
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;
CREATE VIEW kept AS SELECT user_id, provider, label, version FROM key_vault_data.secrets ORDER BY 1, 2, 3, 4;
SELECT key_vault.set('user_a', 'exa', make_key(1)), key_vault.set('user_a', 'exa', make_key(2));

-- before the row is stored, and after
CREATE FUNCTION sets_the_same() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.set(NEW.user_id, NEW.provider, make_key(0), NEW.label);
    RETURN NEW;
END $$;
CREATE TRIGGER same BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION sets_the_same();
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', make_key(3));
\set VERBOSITY sqlstate
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', make_key(3));
SELECT key_vault.set('user_a', 'exa', make_key(3), if_version => 2);
SELECT key_vault.set('user_b', 'exa', make_key(3));
SELECT key_vault.rollback('user_a', 'exa', 1);
SELECT key_vault.import_keys($$ SELECT 'user_b', 'exa', make_key(3) $$);
SELECT key_vault.import_dotenv('user_b', 'EXA_API_KEY=' || make_key(3));
SELECT key_vault.current_user_id() IS NULL AS nobody, current_user;
RESET SESSION AUTHORIZATION;
DROP TRIGGER same ON key_vault_data.secrets;
CREATE TRIGGER same AFTER INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION sets_the_same();
SELECT key_vault.set('user_a', 'exa', make_key(3));
DROP TRIGGER same ON key_vault_data.secrets;
-- while old versions are trimmed
CREATE FUNCTION sets_the_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.set(OLD.user_id, OLD.provider, make_key(0), OLD.label);
    RETURN OLD;
END $$;
CREATE TRIGGER same BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION sets_the_old();
SET key_vault.keep_versions = 0;
SELECT key_vault.set('user_a', 'exa', make_key(3));
RESET key_vault.keep_versions;
DROP TRIGGER same ON key_vault_data.secrets;
-- while a policy is run: the one that is there, or another
CREATE FUNCTION policy_that_sets(who text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN key_vault.set(who, 'exa', make_key(0)) > 0;
END $$;
CREATE POLICY sets ON key_vault_data.secrets AS RESTRICTIVE FOR INSERT WITH CHECK (policy_that_sets(user_id));
SELECT key_vault.set('user_a', 'exa', make_key(3));
DROP POLICY sets ON key_vault_data.secrets;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND policy_that_sets(user_id));
SELECT key_vault.set('user_a', 'exa', make_key(3));
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.get('user_a', 'exa');
RESET SESSION AUTHORIZATION;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());
SELECT * FROM kept;
SELECT key_vault.get('user_a', 'exa') = make_key(2) AS as_before;

-- a trigger that puts every version there by itself
CREATE FUNCTION puts_the_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        INSERT INTO key_vault_data.secrets SELECT NEW.*;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER puts BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION puts_the_row();
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', make_key(3));
\set VERBOSITY sqlstate
DROP TRIGGER puts ON key_vault_data.secrets;

-- deleting what is being deleted
CREATE FUNCTION deletes_the_same() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'forget' THEN
        PERFORM key_vault.forget(OLD.user_id);
    ELSE
        PERFORM key_vault.delete(OLD.user_id, OLD.provider, OLD.label);
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER same BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION deletes_the_same('delete');
\set VERBOSITY default
SELECT key_vault.delete('user_a', 'exa');
\set VERBOSITY sqlstate
SELECT key_vault.delete('user_a', 'exa');
SELECT key_vault.forget('user_a');
DROP TRIGGER same ON key_vault_data.secrets;
CREATE TRIGGER same BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION deletes_the_same('forget');
\set VERBOSITY default
SELECT key_vault.forget('user_a');
\set VERBOSITY sqlstate
SELECT key_vault.delete('user_a', 'exa');
DROP TRIGGER same ON key_vault_data.secrets;
SELECT * FROM kept;

-- a secret that leads to another, and that to the next, without end but for the stack
CREATE FUNCTION sets_the_next() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.set(NEW.user_id, NEW.provider, make_key(0), md5(NEW.label));
    RETURN NEW;
END $$;
CREATE TRIGGER next BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION sets_the_next();
SET max_stack_depth = '300kB';
SELECT key_vault.set('user_a', 'exa', make_key(3));
RESET max_stack_depth;
SELECT key_vault.current_user_id() IS NULL AS nobody;
DROP TRIGGER next ON key_vault_data.secrets;
-- reading within reading
CREATE FUNCTION policy_that_gets(who text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN key_vault.get(who, 'exa') IS NOT NULL;
END $$;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND policy_that_gets(user_id));
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.get('user_a', 'exa');
RESET SESSION AUTHORIZATION;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());

-- what ends: a copy under another label, a trigger that lives with the error, one that
-- deletes another key, a new key after one was deleted
CREATE FUNCTION copies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.label = 'default' THEN
        PERFORM key_vault.set(NEW.user_id, NEW.provider, make_key(0), 'copy');
        PERFORM key_vault.delete(NEW.user_id, NEW.provider, 'copy of the copy');
        BEGIN
            PERFORM key_vault.set(NEW.user_id, NEW.provider, make_key(0));
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            NULL;
        END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER copies BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION copies();
SELECT key_vault.set('user_a', 'exa', make_key(3));
DROP TRIGGER copies ON key_vault_data.secrets;
CREATE TRIGGER after_delete AFTER DELETE ON key_vault_data.secrets FOR EACH ROW
    WHEN (OLD.version = 3) EXECUTE FUNCTION sets_the_old();
SELECT key_vault.delete('user_a', 'exa');
SELECT * FROM kept;
SELECT key_vault.get('user_a', 'exa');
DROP TRIGGER after_delete ON key_vault_data.secrets;
SELECT key_vault.set('user_a', 'exa', make_key(4)), key_vault.delete('user_a', 'exa', 'copy'), key_vault.forget('user_a');

DROP VIEW kept;
DROP EXTENSION key_vault;
DROP FUNCTION make_key, sets_the_same, sets_the_old, policy_that_sets, puts_the_row, deletes_the_same, sets_the_next, policy_that_gets, copies;
DROP OWNED BY regress_kv_service;
DROP ROLE regress_kv_service;
