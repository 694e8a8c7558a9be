-- purge() and expiring(): what expired long ago goes, what expires soon is listed.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_service;
SELECT key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_service', 'service');
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;
CREATE FUNCTION soon() RETURNS timestamptz LANGUAGE sql AS $$ SELECT clock_timestamp() + interval '300 ms' $$;
CREATE VIEW kept AS SELECT user_id, provider, label, array_agg(version ORDER BY version) AS versions
    FROM key_vault.secrets GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- expired, several of one user; expired over a version that never does; not expired over one that does
SELECT key_vault.set('user_1', 'exa', make_key(1), expires_at => soon()), key_vault.set('user_1', 'serper', make_key(2), 'work', soon()),
       key_vault.set('user_1', 'exa', make_key(3), 'work'),
       key_vault.set('user_2', 'exa', make_key(4)), key_vault.set('user_2', 'exa', make_key(5), expires_at => soon()),
       key_vault.set('user_3', 'exa', make_key(6), expires_at => soon()), key_vault.set('user_3', 'exa', make_key(7)),
       key_vault.set('user_4', 'exa', make_key(8), expires_at => now() + interval '1 hour'),
       key_vault.set('user_5', 'exa', make_key(9), expires_at => now() + interval '1 minute'),
       key_vault.set('user_6', 'exa', make_key(10), expires_at => 'infinity'),
       key_vault.set('user_7', 'exa', make_key(11), expires_at => soon());

-- what expires within a time, of all users, without what has expired or is not current
SELECT pg_sleep(0.31);
SET ROLE regress_kv_service;
SELECT * FROM key_vault.expiring('1 day');
CALL key_vault.purge();
SET ROLE regress_kv_admin;
SELECT user_id, provider, label, version, hint, expires_at > now() AS later FROM key_vault.expiring('1 day');
SELECT user_id FROM key_vault.expiring('2 minutes');
SELECT count(*) FROM key_vault.expiring('0');
SELECT count(*) FROM key_vault.expiring('-1 hour');
SELECT count(*) FROM key_vault.expiring(NULL);

-- the setting: a time, or never
SHOW key_vault.purge_after;
SET key_vault.purge_after = 0;
RESET ROLE;
SELECT count(*) FROM key_vault.secrets;
SET ROLE regress_kv_admin;
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.purge();
RESET ROLE;
SET key_vault.purge_after = -1;
CALL key_vault.purge();
SET key_vault.purge_after = '1 min';
CALL key_vault.purge();
\set VERBOSITY sqlstate
SET key_vault.purge_after = -2;
SET key_vault.purge_after = 0;
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT * FROM kept;

-- where
SET ROLE regress_kv_admin;
BEGIN;
CALL key_vault.purge();
ROLLBACK;
CALL key_vault.purge(NULL);
CALL key_vault.purge(0);
CALL key_vault.purge(10001);
SET default_transaction_read_only = on;
CALL key_vault.purge();
RESET default_transaction_read_only;
RESET ROLE;

-- an error in the second batch: the first one stays, and the caller is who they were
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.user_id = 'user_2' THEN RAISE 'poisoned'; END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER poison BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION poison();
SET ROLE regress_kv_admin;
CALL key_vault.purge(2);
SELECT current_user;
SELECT count(*) FROM key_vault.secrets;
RESET ROLE;
SELECT * FROM kept;
DROP TRIGGER poison ON key_vault_data.secrets;
DROP FUNCTION poison;

-- the table's policies decide on each row
CREATE POLICY hands_off ON key_vault_data.secrets AS RESTRICTIVE FOR DELETE USING (user_id <> 'user_7');
CALL key_vault.purge(1);
SELECT * FROM kept;
DROP POLICY hands_off ON key_vault_data.secrets;

-- the rest, all versions; a version below does not come up
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.purge();
CALL key_vault.purge();
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT * FROM kept;
SELECT key_vault.get('user_2', 'exa') IS NULL AS gone, key_vault.get('user_3', 'exa') = make_key(7) AS there;

DROP VIEW kept;
DROP FUNCTION make_key, soon;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_service;
DROP ROLE regress_kv_admin, regress_kv_service;
