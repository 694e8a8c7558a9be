-- A key that has expired is as good as none, by the clock, and says so.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- a long life: nothing is different
SELECT key_vault.set('user_a', 'serper', make_key(1), expires_at => now() + interval '1 hour');
SELECT key_vault.get('user_a', 'serper') = make_key(1) AS same;
SELECT status, expires_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour' AS later FROM key_vault.list('user_a');
SELECT key_vault.delete('user_a', 'serper');

-- a short one, which ends while the transaction goes on
BEGIN;
SELECT key_vault.set('user_a', 'exa', make_key(2), expires_at => clock_timestamp() + interval '150 ms');
SELECT key_vault.get('user_a', 'exa') = make_key(2) AS same, key_vault.source('user_a', 'exa');
SELECT pg_sleep(0.16);
SELECT key_vault.get('user_a', 'exa') IS NULL AS absent, key_vault.source('user_a', 'exa') IS NULL AS no_source,
       key_vault.get_all('user_a');
COMMIT;
SELECT key_vault.get('user_a', 'exa') IS NULL AS absent;
SELECT key_vault.require('user_a', 'exa');
\set VERBOSITY default
\set SHOW_CONTEXT never
DO $$
DECLARE
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM key_vault.require('user_a', 'exa');
EXCEPTION WHEN no_data_found THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    ASSERT position(to_char((SELECT expires_at FROM key_vault.list('user_a')), 'YYYY-MM-DD HH24:MI:SS') IN detail) > 0;
    RAISE WARNING USING MESSAGE = message, HINT = hint,
        DETAIL = regexp_replace(detail, 'since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[-+]\d\d\.$', 'since (a time).');
END $$;
\set VERBOSITY sqlstate

-- it is still listed, as expired, and counts as a version
SELECT provider, label, version, hint, status FROM key_vault.list('user_a');
SELECT version, is_current FROM key_vault.versions('user_a', 'exa');

-- an older version does not shine through
SELECT key_vault.set('user_b', 'exa', make_key(3)),
       key_vault.set('user_b', 'exa', make_key(4), expires_at => clock_timestamp() + interval '20 ms');
SELECT pg_sleep(0.03);
SELECT key_vault.get('user_b', 'exa') IS NULL AS absent;

-- a new key ends that
SELECT key_vault.set('user_a', 'exa', make_key(5));
SELECT key_vault.get('user_a', 'exa') = make_key(5) AS same;
SELECT version, status FROM key_vault.list('user_a');

-- nobody sets a key that has expired already
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => clock_timestamp());
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => now());
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => '2001-01-01');
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => '-infinity');
\set VERBOSITY default
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => '2001-01-01 00:00:00 PST');
\set VERBOSITY sqlstate
SELECT count(*) FROM key_vault.list('user_c');

-- infinity is never; the last moment that PostgreSQL knows will do
SELECT key_vault.set('user_c', 'exa', make_key(6), expires_at => 'infinity');
SELECT key_vault.set('user_c', 'serper', make_key(7), expires_at => '294276-12-31 00:00:00+00');
SELECT provider, expires_at, status FROM key_vault.list('user_c');
SELECT key_vault.get('user_c', 'exa') = make_key(6) AS never, key_vault.get('user_c', 'serper') = make_key(7) AS far;

-- what is in another time zone is the same moment
SET timezone = 'Asia/Kolkata';
SELECT key_vault.get('user_c', 'serper') = make_key(7) AS far;
SET timezone = 'America/St_Johns';
SELECT key_vault.get('user_c', 'serper') = make_key(7) AS far;
RESET timezone;

DROP FUNCTION make_key;
DROP EXTENSION key_vault;
