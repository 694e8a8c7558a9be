-- What belongs with a key and is not secret: kept in the clear, bound to the key.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- each version has its own, and rollback brings them back
SELECT key_vault.set('user_a', 'exa', make_key(1), attributes => '{"base_url": "https://eu.example.com/v1", "region": "eu"}');
SELECT key_vault.set('user_a', 'exa', make_key(2), attributes => '{}');
SELECT key_vault.set('user_a', 'exa', make_key(3));
SELECT key_vault.set('user_a', 'exa', make_key(4), 'work', '2999-01-01 00:00:00+00', 0, '{"n": [1, 1.50, -0.0, 1e3, null, true, {"deep": "\u00e9\u0001\"\\\n"}]}');
SELECT version, is_current, attributes FROM key_vault.versions('user_a', 'exa');
SELECT provider, label, version, attributes FROM key_vault.list('user_a');
SELECT label, version, attributes FROM key_vault.secrets WHERE user_id = 'user_a' ORDER BY label, version;
SELECT key_vault.get('user_a', 'exa') = make_key(3) AS none, key_vault.get('user_a', 'exa', 'work') = make_key(4) AS some;
SELECT key_vault.rollback('user_a', 'exa', 1), key_vault.get('user_a', 'exa') = make_key(1) AS same;
SELECT version, attributes FROM key_vault.versions('user_a', 'exa');
SELECT key_vault.rollback('user_a', 'exa', 2), key_vault.get('user_a', 'exa') = make_key(2) AS same;
SELECT version, attributes FROM key_vault.versions('user_a', 'exa');

-- what is refused, and that nothing is stored
\set VERBOSITY default
SELECT key_vault.set('user_b', 'exa', make_key(1), attributes => '["eu"]');
SELECT key_vault.set('user_b', 'exa', make_key(1), attributes => jsonb_build_object('a', repeat('x', 4089)));
SELECT key_vault.set('user_b', 'exa', make_key(1), attributes => (repeat('{"a":', 33) || '1' || repeat('}', 33))::jsonb);
SELECT key_vault.set('user_b', 'exa', make_key(1), attributes => jsonb_build_object('region', 'sk-proj-' || md5('a')));
\set VERBOSITY sqlstate
CREATE FUNCTION state_of(attributes jsonb, api_key text DEFAULT 'exa-key-0123456789') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    m text;
    d text;
    h text;
BEGIN
    PERFORM key_vault.set('user_b', 'exa', api_key, 'tried', attributes => attributes);
    RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || CASE WHEN concat(m, d, h) ~ '0cc175b9|eyJhbGciOi|exa-key-' THEN ' quotes ' || concat(m, d, h) ELSE '' END;
END $$;
SELECT value, state_of(value::jsonb) FROM (VALUES ('null'), ('1'), ('true'), ('"eu"'), ('[]'), ('[{}]')) v (value);
-- a key or a token: as a value, within one, deep inside, as a name; with a registered provider's prefix, or the key itself
SELECT state_of(jsonb_build_object('a', 'sk-proj-' || md5('a'))) AS value,
       state_of(jsonb_build_object('a', 'https://api.example.com/v1?key=sk-proj-' || md5('a'))) AS in_an_address,
       state_of(jsonb_build_object('a', jsonb_build_array(1, jsonb_build_object('b', 'hf_QrWhXbGTzYuoPLkjRmNcVdSaEfIqJtBw')))) AS deep,
       state_of(jsonb_build_object('sk-proj-' || md5('a'), 1)) AS name,
       state_of(jsonb_build_object('a', jsonb_build_object('sk-proj-' || md5('a'), 1))) AS deep_name,
       state_of('{"a": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyX2EifQ.AAAAAAAAAAAAAAAAAAAAAA"}') AS token,
       state_of('{"a": "https://x.example.com/exa-key-0123456789/v1"}') AS itself,
       state_of('{"exa-key-0123456789": 1}') AS itself_as_name,
       state_of('{"a": "short-k"}', 'short-k') AS a_word,
       state_of('{"base_url": "http://localhost:8080/task-list/v1", "organization": "org-a1b2c3d4e5f6a7b8c9d0e1f2", "id": "9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0"}') AS names;
-- at the limit
SELECT state_of(jsonb_build_object('a', repeat('x', 4088))) AS of_4096_bytes, state_of(jsonb_build_object('a', repeat('x', 4089))) AS of_4097,
       state_of(jsonb_build_object('a', repeat(U&'\20AC', 1362))) AS of_3_bytes_each, state_of(jsonb_build_object('a', repeat(U&'\20AC', 1363))) AS too_many,
       state_of((repeat('{"a":', 32) || '1' || repeat('}', 32))::jsonb) AS deep, state_of((repeat('[', 5000) || repeat(']', 5000))::jsonb) AS no_object,
       state_of(('{"a":' || repeat('[', 5000) || repeat(']', 5000) || '}')::jsonb) AS deeper;
SELECT state_of('{"a": 1e131071}') AS long_number, state_of(('[' || repeat('1e131071,', 1000) || '1]')::jsonb) AS no_object,
       state_of((SELECT jsonb_object_agg(n, n) FROM generate_series(1, 100000) n)) AS many,
       state_of(jsonb_build_object('a', (SELECT jsonb_agg(n) FROM generate_series(1, 100000) n))) AS many_inside,
       state_of(jsonb_build_object('a', repeat(chr(1), 682), 'b', '')) AS escaped, state_of(jsonb_build_object('a', repeat(chr(1), 681))) AS escaped_too;
SELECT label, version, octet_length(attributes::text) FROM key_vault.versions('user_b', 'exa', 'tried'), LATERAL (SELECT 'tried' AS label) l ORDER BY version;
SELECT count(*) FROM key_vault.list('user_b') WHERE label = 'default';
SELECT key_vault.delete('user_b', 'exa', 'tried');

-- in the page, compressed, and out of line: all open, by every way
SELECT key_vault.set('user_t', 'exa', make_key(10), 'page', attributes => jsonb_build_object('a', repeat('x', 1000))),
       key_vault.set('user_t', 'exa', make_key(11), 'compressed', attributes => jsonb_build_object('a', repeat('x', 4000))),
       key_vault.set('user_t', 'exa', make_key(12), 'out of line', attributes => (SELECT jsonb_build_object('a', string_agg(md5(n::text), '')) FROM generate_series(1, 120) n)),
       key_vault.set('user_t', 'exa', repeat('long', 16000), 'default', attributes => (SELECT jsonb_build_object('a', string_agg(md5(n::text), '')) FROM generate_series(1, 120) n));
CREATE VIEW opening AS
    SELECT l.label, key_vault.get('user_t', 'exa', l.label) = coalesce(make_key((array_position('{page,compressed,"out of line"}', l.label)) + 9), repeat('long', 16000)) AS opens,
           octet_length(l.attributes::text) AS bytes
    FROM key_vault.list('user_t') l ORDER BY l.label;
SELECT * FROM opening;

-- another provider's key takes attributes that name it in any order; a rotation leaves them as they are
CREATE TABLE before AS SELECT user_id, label, version, attributes, sealed FROM key_vault.secrets;
SELECT key_vault.create_root_key() AS second \gset
SELECT key_vault.activate_root_key(:'second');
CALL key_vault.rotate_root_key();
SELECT count(*), bool_and(s.attributes IS NOT DISTINCT FROM b.attributes) AS same, bool_and(s.sealed <> b.sealed) AS sealed_anew, count(*) FILTER (WHERE root_key_id <> :'second') AS left
FROM key_vault.secrets s JOIN before b USING (user_id, label, version);
SELECT * FROM opening;
SET key_vault.hint = none;
CALL key_vault.rotate_root_key();
RESET key_vault.hint;
SELECT count(*) FROM key_vault.secrets s JOIN before b USING (user_id, label, version) WHERE hint IS NULL AND s.attributes IS NOT DISTINCT FROM b.attributes;
SELECT * FROM opening;
SELECT count(*) AS unopened FROM key_vault.verify_secrets();

-- Changed, added or taken away in a row, they keep the key from opening: by each function, by both ways
DELETE FROM key_vault_data.secrets;
SELECT key_vault.set('user_a', 'exa', make_key(1), attributes => '{"base_url": "https://eu.example.com", "n": 1.0}'),
       key_vault.set('user_a', 'exa', make_key(2), 'empty', attributes => '{}'), key_vault.set('user_a', 'exa', make_key(3), 'none');
CREATE TABLE good AS SELECT * FROM key_vault.secrets;
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE FUNCTION outcomes(of_label text, new_attributes jsonb, OUT get text, OUT require text, OUT get_all text, OUT rollback text, OUT verify text, OUT onboarding text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE key_vault_data.secrets SET attributes = new_attributes WHERE label = of_label;
    get := outcome(format('SELECT key_vault.get(''user_a'', ''exa'', %L)', of_label));
    require := outcome(format('SELECT key_vault.require(''user_a'', ''exa'', %L)', of_label));
    get_all := outcome('SELECT key_vault.get_all(''user_a'')');
    rollback := outcome(format('SELECT key_vault.rollback(''user_a'', ''exa'', 1, %L)', of_label));
    verify := outcome('SELECT string_agg(concat_ws('' '', label, reason), '', '') FROM key_vault.verify_secrets()');
    onboarding := outcome('SELECT missing FROM key_vault.onboarding(''user_a'') WHERE provider = ''exa''');
    DELETE FROM key_vault_data.secrets;
    INSERT INTO key_vault_data.secrets SELECT * FROM good;
END $$;
CREATE VIEW changes AS SELECT * FROM (VALUES ('default', '{"n": 1.0, "base_url": "https://eu.example.com"}'::jsonb),
    ('default', '{"base_url": "https://evil.example.com", "n": 1.0}'), ('default', '{"base_url": "https://eu.example.com", "n": 1}'), ('default', '{"base_url": "https://eu.example.com"}'),
    ('default', '{"base_url": "https://eu.example.com", "n": 1.0, "m": null}'), ('default', '{"Base_url": "https://eu.example.com", "n": 1.0}'),
    ('default', '{"base_url": "https://eu.example.com", "n": "1.0"}'), ('default', '{}'), ('default', NULL),
    ('empty', '{"base_url": "https://evil.example.com"}'), ('empty', NULL), ('none', '{}'), ('none', '{"base_url": "https://evil.example.com"}')) c (label, attributes);
SET client_min_messages = error;
SELECT c.*, o.* FROM changes c, LATERAL outcomes(c.label, c.attributes) o;
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
CREATE TABLE planned AS SELECT c.*, o.get, o.get_all, o.rollback, o.verify FROM changes c, LATERAL outcomes(c.label, c.attributes) o;
DROP POLICY harmless ON key_vault_data.secrets;
SELECT * FROM planned EXCEPT SELECT c.*, o.get, o.get_all, o.rollback, o.verify FROM changes c, LATERAL outcomes(c.label, c.attributes) o;
SELECT count(*) FROM planned;
-- what the table takes only without its CHECK
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_attributes_object;
SELECT (outcomes('default', '[1]')).get, (outcomes('default', 'null')).verify,
       (outcomes('default', jsonb_build_object('base_url', repeat('x', 100000)))).*;
SELECT (outcomes('default', (SELECT jsonb_object_agg(n, n) FROM generate_series(1, 10000) n))).verify, (outcomes('default', ('{"a":' || repeat('[', 5000) || repeat(']', 5000) || '}')::jsonb)).verify;
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT secrets_attributes_object CHECK (jsonb_typeof(attributes) = 'object');
UPDATE key_vault_data.secrets SET attributes = '[1]';
-- a rotation leaves such a row as it is
SET client_min_messages = warning;
UPDATE key_vault_data.secrets SET attributes = '{"base_url": "https://evil.example.com"}' WHERE label = 'default';
SELECT key_vault.create_root_key() AS third \gset
SELECT key_vault.activate_root_key(:'third');
\set VERBOSITY default
CALL key_vault.rotate_root_key();
\set VERBOSITY sqlstate
SELECT label, root_key_id = :'third' AS sealed_anew, attributes FROM key_vault.secrets ORDER BY label;

DROP TABLE planned, good, before;
DROP VIEW opening, changes;
DROP FUNCTION state_of, make_key, outcome, outcomes;
DROP EXTENSION key_vault;
