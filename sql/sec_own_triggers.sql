-- Triggers and policies of the DBA that look at keys while a row is written: they
-- run as the owner, and what the write has prepared for its caller stays.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_service;
SELECT key_vault.grant_access('regress_kv_service', 'service');

-- before the constraints are checked
CREATE TABLE seen (as_caller boolean, source text);
CREATE FUNCTION look_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.seen VALUES (current_user = session_user,
                                    key_vault.source(NEW.user_id, NEW.provider, NEW.label));
    RETURN NEW;
END $$;
CREATE TRIGGER look_up BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION look_up();
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('k', 20)), key_vault.set('user_a', 'exa', repeat('l', 20)),
       key_vault.set('user_b', 'exa', repeat('m', 20));
SELECT key_vault.get('user_a', 'exa') = repeat('l', 20) AS a, key_vault.get('user_b', 'exa') = repeat('m', 20) AS b;
RESET SESSION AUTHORIZATION;
SELECT as_caller, source FROM seen;
-- and the constraints still hold
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT few_versions CHECK (version < 3);
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('n', 20));
SELECT key_vault.set('user_b', 'exa', repeat('n', 20));
RESET SESSION AUTHORIZATION;
DROP TRIGGER look_up ON key_vault_data.secrets;
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT few_versions;

-- and has the keyring read again, before the row is sealed once more
CREATE FUNCTION read_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM key_vault.root_key_in_ring('0123456789abcdef');
    RETURN CASE WHEN NEW.provider = 'gemini' THEN NULL ELSE NEW END;
END $$;
CREATE TRIGGER read_again BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION read_again();
SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('k', 20));
SELECT key_vault.set('user_d', 'exa', repeat('k', 20));
DROP TRIGGER read_again ON key_vault_data.secrets;

-- while the policy is run on the row that was written
CREATE FUNCTION has_key(who text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN key_vault.source(who, 'exa') IS NOT NULL; END $$;
CREATE POLICY only_with_key ON key_vault_data.secrets AS RESTRICTIVE USING (has_key(user_id));
SET SESSION AUTHORIZATION regress_kv_service;
SELECT key_vault.set('user_a', 'exa', repeat('o', 20)), key_vault.set('user_b', 'exa', repeat('p', 20));
SELECT key_vault.set('user_c', 'gemini', 'AIza' || repeat('k', 20));
SELECT key_vault.current_user_id() IS NULL AS nobody, current_user;
RESET SESSION AUTHORIZATION;

DROP EXTENSION key_vault;
DROP FUNCTION look_up, read_again, has_key;
DROP TABLE seen;
DROP OWNED BY regress_kv_service;
DROP ROLE regress_kv_service;
