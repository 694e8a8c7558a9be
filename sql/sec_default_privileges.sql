-- ALTER DEFAULT PRIVILEGES of whoever installs the extension gives nobody any right
-- on what is in it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE ROLE "regress_kv_App";
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "regress_kv_App";
ALTER DEFAULT PRIVILEGES GRANT ALL ON ROUTINES TO "regress_kv_App" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO "regress_kv_App", PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO "regress_kv_App";
CREATE EXTENSION key_vault CASCADE;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM "regress_kv_App";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON ROUTINES FROM "regress_kv_App";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM "regress_kv_App", PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM "regress_kv_App";
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

SELECT role, level, missing, extra FROM key_vault.access;
SELECT grantee::regrole, count(*)
FROM (SELECT proacl FROM pg_proc WHERE pronamespace = 'key_vault'::regnamespace
      UNION ALL SELECT relacl FROM pg_class WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace)
      UNION ALL SELECT typacl FROM pg_type WHERE oid = 'key_vault.looked_up'::regtype
      UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname IN ('key_vault', 'key_vault_data')) AS acls (acl), LATERAL aclexplode(acl)
WHERE grantee <> 10
GROUP BY grantee;

-- who was given a level has that one
SELECT key_vault.grant_access('regress_kv_App', 'user');
SELECT role, level, complete FROM key_vault.access;
SET ROLE "regress_kv_App";
SELECT count(*) FROM key_vault.inventory;
UPDATE key_vault_data.root_key_registry SET retired_at = now();
RESET ROLE;

-- and whoever can write to every table finds none that says what we grant
GRANT pg_write_all_data TO "regress_kv_App";
SET ROLE "regress_kv_App";
SELECT table_schema, table_name, column_name FROM information_schema.columns
WHERE table_schema LIKE 'key\_vault%' AND table_name NOT LIKE 'audit%' AND column_name IN ('level', 'levels', 'privilege', 'role')
  AND has_table_privilege(format('%I.%I', table_schema, table_name), 'INSERT, UPDATE, DELETE')
ORDER BY ordinal_position;
INSERT INTO key_vault.access (role, level) VALUES ('regress_kv_App', 'service');
UPDATE key_vault.access SET level = 'service';
RESET ROLE;

DROP EXTENSION key_vault;
DROP OWNED BY "regress_kv_App";
DROP ROLE "regress_kv_App";
