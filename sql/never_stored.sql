-- What is no key beyond doubt, at any setting: a masked one, and arguments in the wrong order, which would leave the key in the clear.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION random_key() RETURNS text LANGUAGE sql AS $$ SELECT 'sk-proj-' || md5('a') $$;

-- messages, as people read them
SELECT key_vault.set('user_a', 'openai', 'sk-...abcd');
SELECT key_vault.set('user_a', 'openai', 'work', random_key());
SELECT key_vault.set(random_key(), 'openai', 'user_a');
\set VERBOSITY sqlstate

-- masked: as pages and libraries show keys; what was there stays
SELECT key_vault.set('user_a', 'exa', repeat('a', 20));
CREATE FUNCTION state_of(user_id text, provider text, api_key text, label text DEFAULT 'default') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    m text;
    d text;
    h text;
BEGIN
    PERFORM key_vault.set(user_id, provider, api_key, label);
    RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || CASE WHEN concat(m, d, h) ~ '0cc175b9|92eb5ffe|QrWhXb' THEN ' quotes ' || concat(m, d, h) ELSE '' END;
END $$;
SELECT masked, state_of('user_a', 'exa', masked) FROM unnest(ARRAY['****0004', '***', '********', 'sk-...abcd', 'sk-ant-api03-R2D...igAA', 'AIza****', ' ****abcd ',
    'sk-' || U&'\2026' || 'abcd', repeat(U&'\2022', 12) || 'abcd', '**** **** 0004', '[REDACTED]', 'hidden']) masked;
SELECT key_vault.get('user_a', 'exa') = repeat('a', 20) AS untouched, (SELECT count(*) FROM key_vault.versions('user_a', 'exa')) AS versions;
-- the view's own mask
SELECT state_of('user_a', 'exa', key) FROM key_vault.api_keys WHERE session_id = 'user_a';
SET key_vault.hint = none;
SELECT key_vault.set('user_a', 'exa', repeat('a', 20));
SELECT state_of('user_a', 'exa', key) FROM key_vault.api_keys WHERE session_id = 'user_a';
RESET key_vault.hint;

-- arguments in the wrong order: by the prefix of any provider
SELECT state_of('user_b', 'exa', 'work', random_key()) AS as_label,
       state_of('user_b', 'exa', 'default', random_key()) AS label_in_place_of_key,
       state_of(random_key(), 'exa', 'user_b') AS as_user,
       state_of('user_b', 'exa', 'work', 'hf_QrWhXbGTzYuoPLkjRmNcVdSaEfIqJtBw') AS of_letters,
       state_of('user_b', 'exa', 'work', ' ' || random_key()) AS with_a_space,
       state_of('user_b', 'exa', '9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0', random_key()) AS beside_a_uuid,
       state_of('user_b', 'exa', repeat('k', 20), random_key()) AS beside_a_key_without_prefix;
-- a longer one than a label may be, and one for the provider
SELECT state_of('user_b', 'exa', 'work', random_key() || md5('b')) AS long_label, state_of('user_b', random_key(), 'openai') AS as_provider;
-- also as the identity
BEGIN;
SELECT set_config('key_vault.user_id', random_key(), true) IS NOT NULL AS is_set;
SELECT state_of(NULL, 'exa', repeat('k', 20));
COMMIT;
SELECT count(*) FROM key_vault.secrets WHERE user_id LIKE '%sk-%' OR label LIKE '%sk-%';
SELECT count(*) FROM key_vault.list('user_b');
-- by the prefix of a provider that the database added
SELECT key_vault.add_provider('acme', key_prefixes => '{acme_}');
SELECT state_of('user_b', 'acme', 'work', 'acme_' || md5('a')) AS own;

-- names are not keys, whatever they begin with, nor are UUIDs
SELECT name, state_of('user_c', 'exa', repeat('k', 20), name) AS as_label, state_of(name, 'exa', repeat('k', 20)) AS as_user
FROM unnest('{ck_users_email_lower,hf_hub_download_file,sk_learn_pipeline_step_2,sk-learn-pipeline-step-2,sk-1234567890,acme_2024_q1_budget_team,9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0}'::text[]) name;
-- beside a key that looks like one, a name that does so too may be meant
SELECT state_of('acme_' || md5('team'), 'openai', random_key()) AS stored;

-- An admin's prefixes say nothing about a key.  If what is refused beside such a user id depended on them, an admin
-- who adds them could ask for the key, one character after the other.
SELECT key_vault.add_provider('probe', key_prefixes => '{usr_,sec}');
SELECT state_of('usr_' || md5('x'), 'exa', 'sec' || md5('y')) = state_of('usr_' || md5('x'), 'exa', 'tec' || md5('y')) AS same;

DROP FUNCTION state_of, random_key;
DROP EXTENSION key_vault;
