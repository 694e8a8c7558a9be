-- key_vault.secrets is for people who look: rights and policy are those of who looks, and the
-- primary key is used.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_exempt BYPASSRLS;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'),
       key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_exempt', 'user');
SELECT count(key_vault.set('user_' || n, 'exa', repeat('x', 20))) FROM generate_series(1, 300) n;
VACUUM ANALYZE key_vault_data.secrets;

-- the table's columns, in its order
SELECT count(*) AS different FROM (
    SELECT attnum, attname, atttypid, attcollation FROM pg_attribute WHERE attrelid = 'key_vault.secrets'::regclass AND attnum > 0
    EXCEPT SELECT attnum, attname, atttypid, attcollation FROM pg_attribute WHERE attrelid = 'key_vault_data.secrets'::regclass) d;

-- whose rows
SET key_vault.user_id = 'user_7';
SET ROLE regress_kv_user;
SELECT user_id, provider FROM key_vault.secrets;
SELECT count(*) FROM key_vault.secrets WHERE user_id = 'user_8';
-- which index
SET client_min_messages = error; -- Citus, where it is installed, warns of what is in pg_temp
CREATE FUNCTION pg_temp.access_of(statement text) RETURNS TABLE (access text) LANGUAGE plpgsql AS $$
BEGIN
    FOR access IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        access := substring(access FROM '(?:Seq|Index|Bitmap)[A-Za-z ]*Scan (?:using|on) \w+|Index Cond: \(+user_id = (?:key_vault.current_user_id\(\)|''user_7'')');
        IF access IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
SET client_min_messages = warning;
SELECT * FROM pg_temp.access_of('SELECT sealed FROM key_vault.secrets WHERE user_id = ''user_7'' AND provider = ''exa'' AND label = ''default''');
SELECT * FROM pg_temp.access_of('SELECT hint FROM key_vault.secrets');
-- a condition of the one who looks sees no row that the policy keeps out
SET client_min_messages = error;
CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING '%', $1; RETURN true; END $$;
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT count(*) FROM key_vault.secrets WHERE pg_temp.tell(user_id);
\set VERBOSITY sqlstate
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_user;
SELECT count(*) FROM key_vault.secrets;
SET ROLE regress_kv_service;
SELECT count(*) FROM key_vault.secrets;
SET ROLE regress_kv_exempt;
SELECT count(*) FROM key_vault.secrets;
SET ROLE regress_kv_admin;
SELECT count(*) FROM key_vault.secrets;
RESET ROLE;
SELECT count(*) FROM key_vault.secrets;

-- the right to the table is what counts
SET key_vault.user_id = 'user_7';
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_user;
SET ROLE regress_kv_user;
SELECT count(*) FROM key_vault.secrets;
SELECT key_vault.get(NULL, 'exa');
RESET ROLE;
-- and that to the view is nothing to a call
GRANT SELECT ON key_vault_data.secrets TO regress_kv_user;
REVOKE SELECT ON key_vault.secrets FROM regress_kv_user;
SET ROLE regress_kv_user;
SELECT count(*) FROM key_vault.secrets;
SELECT key_vault.get(NULL, 'exa') = repeat('x', 20) AS same, (SELECT count(*) FROM key_vault.list(NULL)) AS listed;
-- nobody writes by it
RESET ROLE;
GRANT regress_kv_service TO regress_kv_user;
SET ROLE regress_kv_user;
UPDATE key_vault.secrets SET hint = NULL;
DELETE FROM key_vault.secrets;
SELECT FROM key_vault.secrets FOR KEY SHARE;
RESET ROLE;
DROP FUNCTION pg_temp.tell, pg_temp.access_of;
RESET key_vault.user_id;

SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_exempt;
