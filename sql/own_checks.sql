-- CHECK constraints hold in a session that has them prepared, those of the DBA too.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT key_vault.set('user_a', 'exa', repeat('k', 20)), key_vault.set('user_a', 'exa', repeat('l', 20));

-- one that the server's own functions make up
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT few_versions CHECK (version < 4);
SELECT key_vault.set('user_a', 'exa', repeat('m', 20));
SELECT key_vault.set('user_a', 'exa', repeat('n', 20));
SELECT key_vault.get('user_a', 'exa') = repeat('m', 20) AS kept;

-- one that calls a function, which looks at keys itself while it is run
CREATE FUNCTION has_exa(who text) RETURNS boolean LANGUAGE sql
AS $$ SELECT key_vault.get(who, 'exa') IS NOT NULL $$;
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT exa_first CHECK (has_exa(user_id) OR provider = 'exa');
SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('k', 20));
SELECT key_vault.set('user_b', 'gemini', 'AIza' || repeat('k', 20));
SELECT key_vault.set('user_b', 'exa', repeat('k', 20));
SELECT key_vault.set('user_b', 'gemini', 'AIza' || repeat('k', 20));

-- none of them any more, and ours as before
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT few_versions, DROP CONSTRAINT exa_first;
SELECT key_vault.set('user_a', 'exa', repeat('n', 20));
SELECT key_vault.set('user_c', 'gemini', 'AIza' || repeat('k', 20));
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_version_positive,
    ADD CONSTRAINT secrets_version_positive CHECK (version > 100) NOT VALID;
SELECT key_vault.set('user_c', 'gemini', 'AIza' || repeat('l', 20));
SELECT provider, label, version FROM key_vault.list('user_c');

DROP FUNCTION has_exa;
DROP EXTENSION key_vault;
