-- What is odd about a key: set warns of it, or refuses it by key_vault.check_keys, and says what and where, never the key.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
CREATE ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
CREATE TABLE odd (id int GENERATED ALWAYS AS IDENTITY, what text, api_key text, label text DEFAULT 'default');
INSERT INTO odd (what, api_key) VALUES
    ('space in front', ' ' || repeat('a', 20)),
    ('line end behind', repeat('b', 20) || E'\n'),
    ('line break inside', repeat('c', 10) || E'\n' || repeat('c', 10)),
    ('carriage return', repeat('d', 10) || E'\r\n' || repeat('d', 10)),
    ('zero width space', repeat('e', 7) || U&'\200B' || repeat('e', 13)),
    ('no-break space behind', repeat('f', 20) || U&'\00A0'),
    ('byte order mark', U&'\FEFF' || repeat('g', 20)),
    ('Cyrillic a', repeat('h', 19) || U&'\0430'),
    ('control character', repeat('i', 20) || chr(1) || 'i'),
    ('space in front and a tab', ' ' || repeat('j', 20) || E'\tj'),
    ('the word null', 'null'),
    ('undefined', 'undefined'),
    ('white space', E' \n'),
    ('OpenPGP', E'-----BEGIN PGP MESSAGE-----\n\nww0E\n-----END PGP MESSAGE-----\n'),
    ('Vault', 'vault:v1:' || repeat('k', 40)),
    ('bcrypt', '$2b$10$' || repeat('l', 53));
INSERT INTO odd (what, api_key, label) VALUES
    ('shorter than its label', 'work', '9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0'),
    ('the label named default', 'default', repeat('m', 20));

-- stored, with WARNINGs for the application's developer
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM odd ORDER BY id LOOP
        RAISE WARNING 'what: %', r.what;
        PERFORM key_vault.set('user_' || r.id, 'exa', r.api_key, r.label);
    END LOOP;
END $$;
SELECT count(*) = (SELECT count(*) FROM odd) AS all_stored FROM odd WHERE key_vault.get('user_' || id, 'exa', label) = api_key;

-- refused: nothing is stored, and the same is said
CREATE FUNCTION refused(user_id text, provider text, api_key text, label text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    m text;
    d text;
    h text;
BEGIN
    PERFORM key_vault.set(user_id, provider, api_key, label);
    RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || m || CASE WHEN position(btrim(api_key, E' \n') IN concat(m, d, h)) > 0 AND api_key !~ '^(null|\s+|work|default)$' THEN ' QUOTED' ELSE '' END;
END $$;
SET key_vault.check_keys = refuse;
SELECT what, refused('refused_' || id, 'exa', api_key, label) FROM odd ORDER BY id;
SELECT count(*) FROM key_vault.secrets WHERE user_id LIKE 'refused%';
SELECT key_vault.set('user_r', 'exa', ' ' || repeat('a', 20));

-- white space apart, it begins as it should; of what is no key that is not said
RESET key_vault.check_keys;
SELECT key_vault.set('user_r', 'openai', ' sk-' || repeat('o', 20)), key_vault.set('user_r', 'openai', 'undefined');
SET key_vault.check_keys = refuse;

-- what a provider's keys begin with is never a reason to refuse one
SELECT key_vault.set('user_r', 'openai', 'pk-' || repeat('o', 20));
SELECT key_vault.get('user_r', 'openai') = 'pk-' || repeat('o', 20) AS stored;

-- not odd: documents keep their lines and letters; a short key beside a short label, or the default one
SELECT key_vault.set('user_r', 'exa', E'{"type": "service_account",\n "name": "' || U&'\0416' || E'"}\n'),
       key_vault.set('user_r', 'exa', E'-----BEGIN PRIVATE KEY-----\n' || repeat('p', 64) || E'\n-----END PRIVATE KEY-----\n'),
       key_vault.set('user_r', 'exa', repeat('q', 15), 'fifteen chars__'), key_vault.set('user_r', 'exa', repeat('q', 16), repeat('l', 63)),
       key_vault.set('user_r', 'exa', 'short'), key_vault.set('user_r', 'exa', 'a b!~' || repeat('r', 20));
\set VERBOSITY sqlstate
SELECT key_vault.set('user_r', 'exa', repeat('q', 15), 'sixteen chars___');
RESET key_vault.check_keys;

-- rollback makes no difference of it: what was stored once is stored again
SELECT key_vault.set('user_v', 'exa', ' ' || repeat('v', 20)), key_vault.set('user_v', 'exa', repeat('w', 20));
SET key_vault.check_keys = refuse;
SELECT key_vault.rollback('user_v', 'exa', 1);
RESET key_vault.check_keys;

-- a .env file's values are keys as well, and told apart by their providers
\set VERBOSITY default
SELECT provider, version FROM key_vault.import_dotenv('user_d', E'EXA_API_KEY=' || repeat('d', 20) || E'\nSERPER_API_KEY="' || repeat('e', 20) || E' "\nOPENAI_API_KEY=pk-' || repeat('f', 20));
SET key_vault.check_keys = refuse;
SELECT provider, version FROM key_vault.import_dotenv('user_e', E'EXA_API_KEY=' || repeat('d', 20) || E'\nSERPER_API_KEY="' || repeat('e', 20) || E' "\n');
SELECT count(*) FROM key_vault.list('user_e');
RESET key_vault.check_keys;
SELECT provider, version FROM key_vault.import_dotenv('user_e', E'EXA_API_KEY=' || repeat('d', 20) || E'\nSERPER_API_KEY=****0004\n');
SELECT count(*) FROM key_vault.list('user_e');

-- a superuser's setting
\set VERBOSITY sqlstate
SET ROLE regress_kv_app;
SET key_vault.check_keys = refuse;
SHOW key_vault.check_keys;
RESET ROLE;
SET ROLE regress_kv_dba;
SET key_vault.check_keys = refuse;
RESET ROLE;
SET key_vault.check_keys = ignore;

DROP TABLE odd;
DROP FUNCTION refused;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_dba;
