-- What goes in comes out, byte for byte, under the name that it was set for.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

-- nothing yet
SELECT key_vault.get('user_a', 'exa') IS NULL AS absent;

-- keys, users and labels of every shape
CREATE TEMP TABLE sample (id int GENERATED ALWAYS AS IDENTITY, what text, user_id text DEFAULT 'user_a', label text DEFAULT 'default', api_key text);
INSERT INTO sample (what, api_key) VALUES
    ('one byte', chr(33)),
    ('15 bytes', repeat('a', 15)),
    ('16 bytes', repeat('a', 16)),
    ('quotes', repeat('''"', 9)),
    ('backslashes', repeat('\', 19)),
    ('line ends inside', 'begin' || E'\r\n\n' || 'end'),
    ('control characters inside', 'begin' || chr(1) || chr(127) || 'end'),
    ('unicode', 'sch' || chr(252) || 'ssel-' || repeat(chr(128273), 12)),
    ('combining', 'e' || chr(769) || ' is not ' || chr(233)),
    ('percent and braces', '%s%n{}$1$$' || repeat('%', 10)),
    ('what a JSON key file looks like', json_build_object('type', 'service_account', 'private_key', repeat('M', 1700))::text),
    ('inside a page', repeat('k', 2000)),
    ('TOASTed', repeat('k', 9000)),
    ('64 KiB', repeat('k', 65536)),
    ('64 KiB of four-byte characters', repeat(chr(128273), 16384));
INSERT INTO sample (what, user_id, api_key) VALUES
    ('user of one byte', 'u', repeat('b', 20)),
    ('user of 255 bytes', repeat('u', 255), repeat('c', 20)),
    ('user in unicode', repeat(chr(128100), 63), repeat('d', 20)),
    ('user in capitals', 'USER_A', repeat('e', 20)),
    ('user with a space', 'user_a ', repeat('f', 20)),
    ('user with quotes', 'o''hara"\', repeat('g', 20)),
    ('user composed', 'ren' || chr(233), repeat('h', 20)),
    ('user decomposed', 'rene' || chr(769), repeat('i', 20));
INSERT INTO sample (what, label, api_key) VALUES
    ('label of one byte', 'l', repeat('j', 20)),
    ('label of 63 bytes', repeat('l', 63), repeat('l', 20)),
    ('label in unicode', chr(26481) || chr(20140), repeat('m', 20)),
    ('label in capitals', 'DEFAULT', repeat('n', 20)),
    ('label with a space', ' default', repeat('o', 20));

-- each under a provider of its own where the names are the same
CREATE TEMP TABLE stored AS
    SELECT id, what, user_id, label, api_key,
           (SELECT name FROM key_vault.providers WHERE key_prefixes = '{}' ORDER BY name OFFSET id % 6 LIMIT 1) AS provider
    FROM sample WHERE user_id <> 'user_a' OR label <> 'default';
SELECT count(*), sum(key_vault.set(user_id, provider, api_key, label)) AS all_first_versions FROM stored;
SELECT what FROM stored WHERE key_vault.get(user_id, provider, label) IS DISTINCT FROM api_key ORDER BY id;
SELECT what FROM stored WHERE key_vault.require(user_id, provider, label) IS DISTINCT FROM api_key ORDER BY id;

-- one after the other under one name: the newest is what get returns
DO $$
DECLARE
    row record;
    expected_version int := 0;
BEGIN
    FOR row IN SELECT * FROM sample WHERE user_id = 'user_a' AND label = 'default' ORDER BY id LOOP
        expected_version := expected_version + 1;
        ASSERT key_vault.set('user_a', 'exa', row.api_key) = expected_version, row.what;
        ASSERT key_vault.get('user_a', 'exa') = row.api_key, row.what;
        ASSERT octet_length(key_vault.get('user_a', 'exa')) = octet_length(row.api_key), row.what;
        ASSERT (SELECT octet_length(sealed) = octet_length(row.api_key) + 49
                   AND (octet_length(row.api_key) < 10 OR position(convert_to(row.api_key, 'UTF8') IN sealed) = 0)
                FROM key_vault.secrets WHERE user_id = 'user_a' AND provider = 'exa' AND label = 'default'
                ORDER BY version DESC LIMIT 1), row.what;
    END LOOP;
    ASSERT expected_version = 15;
END $$;
SELECT octet_length(key_vault.get('user_a', 'exa')) AS bytes;

-- the same key twice is not the same bytes, and neither begins with the other's nonce
SELECT key_vault.set('user_s', provider, repeat('s', 24)) FROM unnest('{exa,exa,serper}'::text[]) AS provider;
SELECT count(DISTINCT sealed) AS different, count(DISTINCT substr(sealed, 10, 24)) AS nonces,
       count(DISTINCT substr(sealed, 1, 9)) AS headers, count(DISTINCT substr(sealed, 34)) AS ciphertexts
FROM key_vault.secrets WHERE user_id = 'user_s';
SELECT root_key_id = encode(substr(sealed, 2, 8), 'hex') AS same_root_key, get_byte(sealed, 0) AS format
FROM key_vault.secrets WHERE user_id = 'user_s' GROUP BY 1, 2;

-- aliases, capitals and white space around a provider's name
SELECT key_vault.set('user_p', 'google', 'AIza' || repeat('1', 30));
SELECT spelling, key_vault.get('user_p', spelling) = 'AIza' || repeat('1', 30) AS found
FROM unnest(ARRAY['gemini', 'google', 'GEMINI', 'Google', '  gemini', E'gemini\t\n', chr(11) || E' \r\nGOOGLE\f ']) AS spelling;
SELECT key_vault.set('user_p', E' HF\n', 'hf_' || repeat('2', 30));
SELECT provider FROM key_vault.list('user_p');
SELECT provider FROM key_vault.secrets WHERE user_id = 'user_p' ORDER BY 1;
SELECT key_vault.delete('user_p', ' Google '), key_vault.get('user_p', 'gemini') IS NULL AS gone;
-- other letters than ASCII are not folded, and what is inside stays
SELECT key_vault.get('user_p', 'g' || chr(201) || 'mini');
SELECT key_vault.get('user_p', 'ge mini');
SELECT key_vault.get('user_p', chr(160) || 'gemini');

-- a user, a provider and a label part the secrets from each other
SELECT key_vault.set(u, p, u || '/' || p || '/' || l || '/' || repeat('x', 12), l)
FROM unnest('{user_x,user_y}'::text[]) u, unnest('{exa,serper}'::text[]) p, unnest('{default,work}'::text[]) l;
SELECT count(*) FILTER (WHERE key_vault.get(u, p, l) = u || '/' || p || '/' || l || '/' || repeat('x', 12)) AS own
FROM unnest('{user_x,user_y}'::text[]) u, unnest('{exa,serper}'::text[]) p, unnest('{default,work}'::text[]) l;

-- arguments by name, and with their defaults
SELECT key_vault.set(api_key => repeat('n', 20), provider => 'exa', user_id => 'user_n') AS version;
SELECT key_vault.get(provider => 'exa', user_id => 'user_n', label => 'default') = repeat('n', 20) AS same;
SELECT proname, pg_get_function_arguments(oid) FROM pg_proc
WHERE oid IN ('key_vault.set'::regproc, 'key_vault.get'::regproc, 'key_vault.require'::regproc,
              'key_vault.delete'::regproc, 'key_vault.rollback'::regproc)
ORDER BY 1;

-- NULL, for what is absent, in every place where a function can stand
SELECT u, key_vault.get(u, 'exa', 'work') IS NULL AS absent FROM unnest('{user_n,user_x}'::text[]) u;
SELECT u FROM unnest('{user_n,user_x}'::text[]) u WHERE key_vault.get(u, 'exa', 'work') IS NOT NULL;
SELECT coalesce(key_vault.get('user_n', 'serper'), 'none');
SELECT * FROM key_vault.get('user_n', 'serper');

-- white space at the ends is kept, with a warning each
SELECT key_vault.set('user_w', 'exa', repeat('w', 20) || ' ');
SELECT key_vault.set('user_w', 'exa', chr(9) || repeat('w', 20));
SELECT key_vault.set('user_w', 'exa', chr(10));
SELECT key_vault.set('user_w', 'exa', repeat('w', 10) || ' ' || repeat('w', 10));
\set VERBOSITY default
SELECT key_vault.set('user_w', 'exa', repeat('w', 20) || chr(10));
\set VERBOSITY sqlstate
SELECT encode(convert_to(key_vault.get('user_w', 'exa'), 'UTF8'), 'hex') AS bytes;

-- a key that does not look like one of the provider's is kept, with a warning
\set VERBOSITY default
SELECT key_vault.set('user_w', 'openai', 'pk-' || repeat('w', 20));
\set VERBOSITY sqlstate
SELECT key_vault.get('user_w', 'openai') = 'pk-' || repeat('w', 20) AS same;

-- undone with the transaction
BEGIN;
SELECT key_vault.set('user_t', 'exa', repeat('1', 20));
SAVEPOINT s;
SELECT key_vault.set('user_t', 'exa', repeat('2', 20));
SELECT key_vault.get('user_t', 'exa') = repeat('2', 20) AS second;
ROLLBACK TO s;
SELECT key_vault.get('user_t', 'exa') = repeat('1', 20) AS first;
ROLLBACK;
SELECT key_vault.get('user_t', 'exa') IS NULL AS absent;

DROP EXTENSION key_vault;
