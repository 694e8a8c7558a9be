-- ALTER DEFAULT PRIVILEGES of whoever installs the extension gives nobody any right
-- on what is in it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE ROLE "regress_kv_App";
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "regress_kv_App";
ALTER DEFAULT PRIVILEGES GRANT ALL ON ROUTINES TO "regress_kv_App" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO "regress_kv_App", PUBLIC;
CREATE EXTENSION key_vault CASCADE;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM "regress_kv_App";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON ROUTINES FROM "regress_kv_App";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM "regress_kv_App", PUBLIC;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT role, level, missing, extra FROM key_vault.access;
SELECT grantee::regrole, count(*)
FROM (SELECT proacl FROM pg_proc WHERE pronamespace = 'key_vault'::regnamespace
      UNION ALL SELECT relacl FROM pg_class WHERE relnamespace = 'key_vault'::regnamespace
      UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname = 'key_vault') AS acls (acl), LATERAL aclexplode(acl)
WHERE grantee <> 10
GROUP BY grantee;

-- who was given a level has that one
SELECT key_vault.grant_access('regress_kv_App', 'user');
SELECT role, level, complete FROM key_vault.access;
SET ROLE "regress_kv_App";
SELECT count(*) FROM key_vault.inventory;
UPDATE key_vault.root_key_registry SET retired_at = now();
RESET ROLE;

-- and whoever can write to every table does not write our GRANTs
GRANT pg_write_all_data TO "regress_kv_App";
SET ROLE "regress_kv_App";
INSERT INTO key_vault.level_privileges VALUES
    ('user', 'relation', 'providers', 'SELECT ON key_vault.providers TO PUBLIC; ALTER ROLE "regress_kv_App" SUPERUSER; GRANT SELECT');
INSERT INTO key_vault.level_privileges VALUES ('user', 'parameter', 'key_vault.user_id', 'SET');
INSERT INTO key_vault.level_privileges VALUES ('service', 'parameter', 'session_replication_role', 'SET');
RESET ROLE;

DROP EXTENSION key_vault;
DROP OWNED BY "regress_kv_App";
DROP ROLE "regress_kv_App";
