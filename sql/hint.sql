-- The hint: the last four characters of a key that is long enough.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
SELECT key_vault.grant_access('regress_kv_app', 'user');

SHOW key_vault.hint;
SELECT key_vault.set('user_a', 'exa', repeat('x', 12) || 'abcd', 'sixteen'), key_vault.set('user_a', 'exa', repeat('x', 11) || 'abcd', 'fifteen'),
       key_vault.set('user_a', 'exa', repeat('z', 4), 'four'), key_vault.set('user_a', 'exa', repeat('x', 40) || 'wxyz', 'forty'),
       key_vault.set('user_a', 'exa', repeat(chr(233), 12) || 'abc' || chr(233), 'two bytes a character'),
       key_vault.set('user_a', 'exa', repeat(chr(128273), 15), 'fifteen characters of four bytes'),
       key_vault.set('user_a', 'exa', repeat(chr(128273), 16), 'sixteen characters of four bytes');
SELECT label, CASE WHEN octet_length(hint) = 4 THEN hint END AS hint, char_length(hint) AS characters, octet_length(hint) AS bytes,
       hint = right(key_vault.get('user_a', 'exa', label), 4) AS last
FROM key_vault.list('user_a');

-- none: from then on
SET key_vault.hint = none;
SELECT key_vault.set('user_b', 'exa', repeat('x', 12) || 'abcd');
SELECT hint IS NULL AS none FROM key_vault.list('user_b');
SELECT hint FROM key_vault.list('user_a') WHERE label = 'forty';
SELECT key_vault.get('user_a', 'exa', 'forty') = repeat('x', 40) || 'wxyz' AS opens, key_vault.get('user_b', 'exa') = repeat('x', 12) || 'abcd' AS opens_too;
SET key_vault.hint = last4;
SELECT key_vault.get('user_b', 'exa') = repeat('x', 12) || 'abcd' AS opens;
SELECT key_vault.set('user_b', 'exa', repeat('x', 12) || 'abcd');
SELECT version, hint FROM key_vault.versions('user_b', 'exa');

-- none also for what is stored: a rotation takes the hints away, of every version, and only they change
CREATE TABLE before AS SELECT *, key_vault.get(user_id, provider, label) AS api_key FROM key_vault_data.secrets;
CALL key_vault.rotate_root_key();
SELECT count(*) AS hints FROM key_vault_data.secrets WHERE hint IS NOT NULL;
SET key_vault.hint = none;
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.rotate_root_key(3);
CALL key_vault.rotate_root_key();
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT count(*) AS hints FROM key_vault_data.secrets WHERE hint IS NOT NULL;
SELECT count(*) AS rows, count(*) FILTER (WHERE s.sealed <> b.sealed) AS sealed_anew, count(*) FILTER (WHERE b.hint IS NOT NULL) AS had_a_hint
FROM before b JOIN key_vault_data.secrets s USING (user_id, provider, label, version, root_key_id, created_at) WHERE s.expires_at IS NOT DISTINCT FROM b.expires_at;
SELECT count(*) AS opens FROM before WHERE key_vault.get(user_id, provider, label) = api_key;
SELECT key_vault.rollback('user_b', 'exa', 1), key_vault.get('user_b', 'exa') = repeat('x', 12) || 'abcd' AS opens;
-- together with another root key
SET key_vault.hint = last4;
SELECT key_vault.set('user_c', 'exa', repeat('x', 40) || 'wxyz');
SELECT key_vault.activate_root_key(key_vault.create_root_key());
SET key_vault.hint = none;
CALL key_vault.rotate_root_key();
SELECT state, done = (SELECT count(*) FROM key_vault_data.secrets) AS each_once FROM key_vault.rotation_progress;
SELECT count(*) AS hints FROM key_vault_data.secrets WHERE hint IS NOT NULL;
SELECT key_vault.get('user_c', 'exa') = repeat('x', 40) || 'wxyz' AS opens;
-- what does not open keeps its hint, which is bound to it, and counts as that
SET key_vault.hint = last4;
SELECT key_vault.set('user_c', 'exa', repeat('x', 40) || 'wxyz', 'tampered'), key_vault.set('user_c', 'exa', repeat('x', 40) || 'wxyz', 'intact');
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) WHERE label = 'tampered';
SET key_vault.hint = none;
CALL key_vault.rotate_root_key();
SELECT label FROM key_vault_data.secrets WHERE hint IS NOT NULL;
SELECT state, total, done, failed FROM key_vault.rotation_progress;
DROP TABLE before;
SET key_vault.hint = last4;

-- what it can be, and who may set it
SET key_vault.hint = first4;
SET key_vault.hint = '';
SET ROLE regress_kv_app;
SET key_vault.hint = none;
SET key_vault.keep_versions = 0;
SHOW key_vault.hint;
RESET ROLE;

DROP EXTENSION key_vault;
DROP ROLE regress_kv_app;
