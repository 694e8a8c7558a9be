-- What CREATE EXTENSION leaves behind, and what it refuses.
\set VERBOSITY sqlstate
SET client_min_messages = warning;

-- only a superuser may install it
CREATE ROLE regress_kv_stranger;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_kv_stranger', current_database()); END $$;
SET ROLE regress_kv_stranger;
CREATE EXTENSION key_vault;

-- a schema that somebody made before is not adopted
CREATE SCHEMA key_vault;
CREATE FUNCTION key_vault.get(user_id varchar, provider varchar) RETURNS text
    LANGUAGE sql AS $$ SELECT 'mine'::text $$;
RESET ROLE;
CREATE EXTENSION key_vault;
SELECT count(*) FROM pg_extension WHERE extname = 'key_vault';
DROP SCHEMA key_vault CASCADE;
-- nor one that the tables would come into
SET ROLE regress_kv_stranger;
CREATE SCHEMA key_vault_data;
RESET ROLE;
CREATE EXTENSION key_vault CASCADE;
SELECT count(*) FROM pg_extension WHERE extname = 'key_vault';
DROP SCHEMA key_vault_data;

-- nor does it go into a schema that the caller names
CREATE SCHEMA regress_kv_elsewhere;
CREATE EXTENSION key_vault SCHEMA regress_kv_elsewhere;
DROP SCHEMA regress_kv_elsewhere;

CREATE EXTENSION key_vault;
SELECT extrelocatable, extversion = default_version AS is_default_version
FROM pg_extension JOIN pg_available_extensions ON name = extname
WHERE extname = 'key_vault';
ALTER EXTENSION key_vault SET SCHEMA public;

CREATE TEMP VIEW member AS
    SELECT d.classid, d.objid, o.type, o.identity
    FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'key_vault')
      AND d.classid <> 'pg_type'::regclass;

-- tables stand in one schema, everything else in the other
SELECT type, identity FROM member WHERE identity !~ CASE type WHEN 'schema' THEN '^key_vault(_data)?$' WHEN 'table' THEN '^key_vault_data\.' ELSE '^key_vault\.' END ORDER BY 1, 2;

-- every member has a comment, and so have policies and triggers
SELECT type, identity FROM member WHERE obj_description(objid, classid::regclass::name) IS NULL
UNION ALL
SELECT 'policy', polname || ' on ' || polrelid::regclass FROM pg_policy
WHERE polrelid IN (SELECT objid FROM member) AND obj_description(oid, 'pg_policy') IS NULL
UNION ALL
SELECT 'trigger', tgname || ' on ' || tgrelid::regclass FROM pg_trigger
WHERE tgrelid IN (SELECT objid FROM member) AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL
ORDER BY 1, 2;

-- the tables that dumps carry say what each column means
SELECT attrelid::regclass, attname FROM pg_attribute
WHERE attrelid IN ('key_vault_data.secrets'::regclass, 'key_vault_data.root_key_registry'::regclass)
  AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL;

-- nothing is granted to PUBLIC, not even what PostgreSQL grants by itself
SELECT m.identity, a.privilege_type
FROM member m
LEFT JOIN pg_proc p ON (m.classid, m.objid) = ('pg_proc'::regclass, p.oid)
LEFT JOIN pg_class c ON (m.classid, m.objid) = ('pg_class'::regclass, c.oid)
LEFT JOIN pg_namespace n ON (m.classid, m.objid) = ('pg_namespace'::regclass, n.oid),
LATERAL aclexplode(CASE
    WHEN p.oid IS NOT NULL THEN coalesce(p.proacl, acldefault('f', p.proowner))
    WHEN c.oid IS NOT NULL THEN coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
    WHEN n.oid IS NOT NULL THEN coalesce(n.nspacl, acldefault('n', n.nspowner)) END) a
WHERE a.grantee = 0;
SELECT attrelid::regclass, attname FROM pg_attribute
WHERE attrelid IN (SELECT objid FROM member) AND attacl IS NOT NULL;

-- and nothing to anybody but the owner
SELECT m.identity, a.grantee::regrole
FROM member m JOIN pg_class c ON (m.classid, m.objid) = ('pg_class'::regclass, c.oid), LATERAL aclexplode(c.relacl) a
WHERE a.grantee <> c.relowner;

-- what a function of ours is to the planner: volatile, not for a parallel worker, and never
-- LEAKPROOF or with its owner's rights; but for those that policies, views and statements for Citus call, and for
-- one whose search_path is its own
SELECT p.oid::regprocedure AS other_than_that, provolatile, proparallel, proleakproof, prosecdef, proconfig FROM pg_proc p
WHERE pronamespace = 'key_vault'::regnamespace
  AND (provolatile <> 'v' OR proparallel = 's' OR proleakproof OR prosecdef OR proconfig IS NOT NULL)
ORDER BY 1;
-- what writes is not for a plan with workers at all
SELECT proname FROM pg_proc
WHERE pronamespace = 'key_vault'::regnamespace AND proparallel <> 'u'
  AND proname IN ('set', 'delete', 'forget', 'rollback', 'create_root_key', 'activate_root_key', 'retire_root_key',
                  'grant_access', 'revoke_access', 'record_usage', 'record_outcome', 'import_keys', 'import_dotenv', 'add_provider', 'remove_provider');
SELECT proname FROM pg_proc
WHERE pronamespace = 'key_vault'::regnamespace AND proparallel <> 'r'
  AND proname IN ('get', 'require', 'lookup', 'get_all', 'source', 'list', 'versions', 'onboarding', 'mode');

-- every table that has a user_id has row-level security and one policy, the same, for all commands and roles
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'user_id')
  AND NOT (relrowsecurity AND 1 = (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AND EXISTS (
      SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND polname = 'own_rows' AND polcmd = '*' AND polpermissive
        AND polroles = '{0}' AND polwithcheck IS NULL
        AND pg_get_expr(polqual, polrelid) = '(user_id = key_vault.current_user_id())'));
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'key_vault_data.secrets'::regclass;

-- views hide what is behind them from the caller's functions
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND c.relkind = 'v'
  AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false);

-- what a dump carries: every table but those that upgrades own
SELECT c.oid::regclass AS not_dumped FROM pg_class c, pg_extension e
WHERE c.relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND c.relkind IN ('r', 'p', 'S') AND e.extname = 'key_vault'
  AND c.oid <> ALL (e.extconfig) ORDER BY 1;

-- no statistics of what is sealed
SELECT attname, attstattarget FROM pg_attribute
WHERE attrelid = 'key_vault_data.secrets'::regclass AND attname IN ('sealed', 'hint') ORDER BY 1;

-- drop it, with all that it made, and have it again
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.set('user_a', 'exa', repeat('k', 20));
DROP EXTENSION key_vault;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'key\_vault%';
SELECT count(*) FROM pg_proc WHERE probin LIKE '%key_vault%';
SELECT key_vault.get('user_a', 'exa');
CREATE EXTENSION key_vault;
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.set('user_a', 'exa', repeat('k', 20));
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.set('user_a', 'exa', repeat('k', 20));
SELECT key_vault.get('user_a', 'exa');

-- the same plans, in a session that had them before, after the extension was made anew
DROP EXTENSION key_vault;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.set('user_a', 'exa', repeat('n', 20));
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.delete('user_a', 'exa');

DROP VIEW member;
DROP EXTENSION key_vault;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_kv_stranger', current_database()); END $$;
DROP ROLE regress_kv_stranger;
