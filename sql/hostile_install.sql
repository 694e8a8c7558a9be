-- Somebody who may create things in the schema that the installer's path names first, where
-- pgcrypto is as well, lays out functions and operators that would match better than
-- PostgreSQL's own: CREATE EXTENSION does not run or bind one of them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA regress_kv_crypto;
CREATE ROLE regress_kv_stranger;
GRANT CREATE, USAGE ON SCHEMA regress_kv_crypto TO regress_kv_stranger;
DROP EXTENSION IF EXISTS pgcrypto CASCADE;
CREATE EXTENSION pgcrypto SCHEMA regress_kv_crypto;

SET ROLE regress_kv_stranger;
CREATE FUNCTION regress_kv_crypto.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'it runs'; END $$;
-- operators for every pair of types
DO $$
DECLARE
    name text;
    lefttype text;
    righttype text;
BEGIN
    FOR lefttype, righttype IN
        SELECT l, r FROM unnest('{text,name,varchar,int4,int8,numeric,date,timestamp,timestamptz,oid,regproc}'::text[]) l,
                         unnest('{text,name,varchar,int4,int8,numeric,date,timestamp,timestamptz,oid,regproc}'::text[]) r
    LOOP
        EXECUTE format('CREATE FUNCTION regress_kv_crypto.trap(%1$s, %2$s) RETURNS bool LANGUAGE sql AS ''SELECT regress_kv_crypto.sprung(); SELECT true''', lefttype, righttype);
        FOREACH name IN ARRAY '{=,<>,<,>,<=,>=}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR regress_kv_crypto.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_kv_crypto.trap)', name, lefttype, righttype);
        END LOOP;
        EXECUTE format('CREATE FUNCTION regress_kv_crypto.calculate(%1$s, %2$s) RETURNS numeric LANGUAGE sql AS ''SELECT regress_kv_crypto.sprung(); SELECT 1.0''', lefttype, righttype);
        FOREACH name IN ARRAY '{+,-,*,/}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR regress_kv_crypto.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_kv_crypto.calculate)', name, lefttype, righttype);
        END LOOP;
        EXECUTE format('CREATE FUNCTION regress_kv_crypto.join(%1$s, %2$s) RETURNS text LANGUAGE sql AS ''SELECT regress_kv_crypto.sprung(); SELECT ''''x''''::text''', lefttype, righttype);
        EXECUTE format('CREATE OPERATOR regress_kv_crypto.|| (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_kv_crypto.join)', lefttype, righttype);
    END LOOP;
END $$;
-- functions that take text, which wins where an argument is a literal
CREATE FUNCTION regress_kv_crypto.pg_extension_config_dump(text, text) RETURNS void LANGUAGE sql AS 'SELECT regress_kv_crypto.sprung()';
DO $$
DECLARE
    name text;
    args text;
BEGIN
    FOREACH name IN ARRAY '{octet_length,length,clock_timestamp,now,date_trunc,max,min,count,sum,round,concat,unnest,aclexplode,acldefault,pg_get_userbyid,lower,regexp_replace,array_agg,string_agg,greatest,bool_or,every}'::text[] LOOP
        FOREACH args IN ARRAY '{text,"text, text",name,varchar,int4,int8,"numeric, int8","float8, int4","text, timestamptz","varchar, timestamp",oid,aclitem,date,timestamptz,bool}'::text[] LOOP
            EXECUTE format('CREATE FUNCTION regress_kv_crypto.%I(%s) RETURNS text LANGUAGE sql AS ''SELECT regress_kv_crypto.sprung(); SELECT ''''x''''::text''', name, args);
        END LOOP;
    END LOOP;
END $$;
-- types and relations of the names that ours, or PostgreSQL's own, have
CREATE TYPE regress_kv_crypto.timestamptz AS ENUM ('x');
CREATE DOMAIN regress_kv_crypto.text AS pg_catalog.text CHECK (regress_kv_crypto.trap(VALUE, VALUE));
CREATE DOMAIN regress_kv_crypto.int AS pg_catalog.int4;
CREATE TABLE regress_kv_crypto.secrets (user_id text);
CREATE VIEW regress_kv_crypto.pg_class AS SELECT 1 AS oid;
CREATE VIEW regress_kv_crypto.pg_namespace AS SELECT 1 AS oid;
RESET ROLE;

-- the trap works
SET search_path = pg_catalog, regress_kv_crypto;
SELECT pg_extension_config_dump('a', 'b'), 1.0 * 1::bigint AS product;
SET search_path = regress_kv_crypto, pg_catalog, pg_temp;
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
RESET search_path;
SELECT pg_describe_object(classid, objid, objsubid) AS ours, pg_describe_object(refclassid, refobjid, refobjsubid) AS theirs
FROM pg_depend WHERE pg_describe_object(classid, objid, objsubid) LIKE '%key_vault.%'
  AND (pg_identify_object(refclassid, refobjid, refobjsubid)).schema = 'regress_kv_crypto';

-- and what was installed works with that path, nothing of theirs in the way
SET search_path = regress_kv_crypto, pg_catalog, pg_temp;
SELECT key_vault.create_root_key() OPERATOR(pg_catalog.<>) '' AS ready;
SELECT key_vault.set('user_a', 'exa', pg_catalog.repeat('x', 20)), key_vault.get('user_a', 'exa');
SELECT user_id, provider, status FROM key_vault.inventory;
SELECT user_id, current_step, progress FROM key_vault.onboarding_sessions;
SELECT session_id, provider, key FROM key_vault.api_keys;
SELECT state, secrets FROM key_vault.root_keys;
SELECT role FROM key_vault.access;
RESET search_path;

DROP EXTENSION key_vault;
DROP EXTENSION pgcrypto;
SET client_min_messages = error;
DROP SCHEMA regress_kv_crypto CASCADE;
DROP OWNED BY regress_kv_stranger;
DROP ROLE regress_kv_stranger;
