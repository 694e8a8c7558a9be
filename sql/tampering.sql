-- A row that was changed by a hair, or moved, does not open: an error, never NULL and never something else.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE TEMP TABLE good AS SELECT * FROM key_vault.secrets;

SELECT key_vault.set('user_a', 'exa', 'exa-' || repeat('x', 20), expires_at => '2999-01-01 00:00:00+00');
INSERT INTO good SELECT * FROM key_vault.secrets;
SELECT octet_length(sealed) AS bytes FROM good;

-- what the row says after a change, and whether every way to read it says XX001
CREATE FUNCTION states(OUT get text, OUT require text, OUT get_all text) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        get := key_vault.get('user_a', 'exa');
    EXCEPTION WHEN OTHERS THEN
        get := SQLSTATE;
    END;
    BEGIN
        require := key_vault.require('user_a', 'exa');
    EXCEPTION WHEN OTHERS THEN
        require := SQLSTATE;
    END;
    BEGIN
        get_all := key_vault.get_all('user_a');
    EXCEPTION WHEN OTHERS THEN
        get_all := SQLSTATE;
    END;
END $$;
CREATE PROCEDURE restore() LANGUAGE sql AS $$
    DELETE FROM key_vault_data.secrets;
    INSERT INTO key_vault_data.secrets SELECT * FROM good;
$$;

-- every bit of every byte
\set VERBOSITY terse
DO $$
DECLARE
    original bytea = (SELECT sealed FROM good);
    counts jsonb = '{}';
    state text;
BEGIN
    FOR bit IN 0 .. 8 * octet_length(original) - 1 LOOP
        UPDATE key_vault_data.secrets SET sealed = set_bit(original, bit, 1 - get_bit(original, bit));
        BEGIN
            state := 'it opened: ' || coalesce(key_vault.get('user_a', 'exa'), 'NULL');
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        counts := counts || jsonb_build_object(state, coalesce((counts ->> state)::int, 0) + 1);
    END LOOP;
    RAISE WARNING 'of % bits: %', 8 * octet_length(original), counts;
    UPDATE key_vault_data.secrets SET sealed = original;
END $$;
-- truncated at every length that the table takes; below that, it takes none
DO $$
DECLARE
    original bytea = (SELECT sealed FROM good);
    counts jsonb = '{}';
    state text;
BEGIN
    FOR length IN 0 .. octet_length(original) - 1 LOOP
        BEGIN
            UPDATE key_vault_data.secrets SET sealed = substr(original, 1, length);
            state := 'it opened: ' || coalesce(key_vault.get('user_a', 'exa'), 'NULL');
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        counts := counts || jsonb_build_object(state, coalesce((counts ->> state)::int, 0) + 1);
        BEGIN
            UPDATE key_vault_data.secrets SET sealed = substr(original, octet_length(original) - length);
            state := 'it opened: ' || coalesce(key_vault.get('user_a', 'exa'), 'NULL');
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        IF length < octet_length(original) - 1 THEN
            counts := counts || jsonb_build_object(state, coalesce((counts ->> state)::int, 0) + 1);
        END IF;
    END LOOP;
    RAISE WARNING 'of % bytes, cut at either end: %', octet_length(original), counts;
    UPDATE key_vault_data.secrets SET sealed = original;
END $$;
-- the same without the table's own check
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_sealed_length;
DO $$
DECLARE
    original bytea = (SELECT sealed FROM good);
    counts jsonb = '{}';
    state text;
BEGIN
    FOR length IN 0 .. octet_length(original) - 1 LOOP
        UPDATE key_vault_data.secrets SET sealed = substr(original, 1, length);
        BEGIN
            state := 'it opened: ' || coalesce(key_vault.get('user_a', 'exa'), 'NULL');
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        counts := counts || jsonb_build_object(state, coalesce((counts ->> state)::int, 0) + 1);
    END LOOP;
    RAISE WARNING 'of % bytes: %', octet_length(original), counts;
END $$;
CALL restore();
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT secrets_sealed_length CHECK (octet_length(sealed) > 49);
\set VERBOSITY sqlstate
SELECT key_vault.get('user_a', 'exa') = 'exa-' || repeat('x', 20) AS opens_again;

-- longer
UPDATE key_vault_data.secrets SET sealed = sealed || '\x00';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET sealed = good.sealed || good.sealed FROM good;
SELECT * FROM states();
UPDATE key_vault_data.secrets SET sealed = decode(repeat('00', 70), 'hex');
SELECT * FROM states();
CALL restore();

-- moved: to another user, provider, label, version
UPDATE key_vault_data.secrets SET user_id = 'user_b';
SELECT key_vault.get('user_b', 'exa');
UPDATE key_vault_data.secrets SET user_id = 'user_A';
SELECT key_vault.get('user_A', 'exa');
CALL restore();
UPDATE key_vault_data.secrets SET provider = 'serper';
SELECT key_vault.get('user_a', 'serper');
CALL restore();
UPDATE key_vault_data.secrets SET label = 'work';
SELECT key_vault.get('user_a', 'exa', 'work');
CALL restore();
UPDATE key_vault_data.secrets SET version = 2;
SELECT * FROM states();
CALL restore();
-- the end of one field is not the beginning of the next
UPDATE key_vault_data.secrets SET user_id = 'user_aexa', provider = 'a';
INSERT INTO key_vault_data.own_providers (name, display_name, env_var) VALUES ('a', 'A', 'A_API_KEY');
SELECT key_vault.get('user_aexa', 'a');
CALL restore();

-- given a longer life, a shorter one, or an endless one
UPDATE key_vault_data.secrets SET expires_at = expires_at + interval '1 microsecond';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET expires_at = '2998-01-01 00:00:00+00';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET expires_at = NULL;
SELECT * FROM states();
UPDATE key_vault_data.secrets SET expires_at = 'infinity';
SELECT * FROM states();
CALL restore();
SELECT key_vault.set('user_e', 'exa', 'exa-' || repeat('e', 20));
UPDATE key_vault_data.secrets SET expires_at = '2999-01-01 00:00:00+00' WHERE user_id = 'user_e';
SELECT key_vault.get('user_e', 'exa');
-- one that has expired, brought back to life
SELECT key_vault.set('user_e', 'serper', 'exa-' || repeat('e', 20), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
UPDATE key_vault_data.secrets SET expires_at = '2999-01-01 00:00:00+00' WHERE provider = 'serper';
SELECT key_vault.get('user_e', 'serper');
CALL restore();

-- another hint
UPDATE key_vault_data.secrets SET hint = 'abcd';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET hint = NULL;
SELECT * FROM states();
UPDATE key_vault_data.secrets SET hint = '';
SELECT * FROM states();
CALL restore();

-- another root key: one that is nowhere, and another one of this database
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET root_key_id = '0123456789abcdef', sealed = overlay(sealed PLACING '\x0123456789abcdef'::bytea FROM 2 FOR 8);
SELECT * FROM states();
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('0123456789abcdef', now());
SELECT * FROM states();
DELETE FROM key_vault_data.root_key_registry WHERE id = '0123456789abcdef';
CALL restore();
SELECT key_vault.create_root_key() AS other \gset
UPDATE key_vault_data.secrets SET root_key_id = :'other';
SELECT * FROM states();
UPDATE key_vault_data.secrets SET root_key_id = :'other', sealed = overlay(sealed PLACING decode(:'other', 'hex') FROM 2 FOR 8);
SELECT * FROM states();
CALL restore();
SELECT * FROM states();

-- when it was made is not bound
UPDATE key_vault_data.secrets SET created_at = '2001-01-01';
SELECT * FROM states();

-- what the message tells: which secret, and why; not the bytes
\set VERBOSITY default
UPDATE key_vault_data.secrets SET hint = 'abcd';
SELECT key_vault.get('user_a', 'exa');
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 0, 1);
SELECT key_vault.get('user_a', 'exa');
CALL restore();
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 1, get_byte(sealed, 1) # 1);
SELECT key_vault.get('user_a', 'exa');
\set VERBOSITY sqlstate
-- the newest version counts, though an older one would open
CALL restore();
SELECT key_vault.set('user_a', 'exa', 'exa-' || repeat('y', 20));
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE version = 2;
SELECT * FROM states();
-- such a version does not become current again
SELECT key_vault.rollback('user_a', 'exa', 2);
SELECT key_vault.rollback('user_a', 'exa', 1);
SELECT key_vault.get('user_a', 'exa') = 'exa-' || repeat('x', 20) AS the_first;

DROP FUNCTION states;
DROP PROCEDURE restore;
DROP EXTENSION key_vault;
