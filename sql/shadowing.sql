-- Whoever calls may have a search_path, and temporary objects, full of things that are named as
-- ours or as PostgreSQL's own: no call runs them, with whatever rights.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_admin;
CREATE ROLE regress_kv_other;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_admin', 'admin');
SELECT key_vault.set(u, p, u || '/' || p || '/' || repeat('x', 12)) FROM unnest('{user_a,user_b}'::text[]) u, unnest('{exa,serper}'::text[]) p;

CREATE SCHEMA regress_kv_evil;
GRANT ALL ON SCHEMA regress_kv_evil TO PUBLIC;
SET ROLE regress_kv_user;
CREATE FUNCTION regress_kv_evil.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'it runs'; END $$;
DO $$
DECLARE
    name text;
    lefttype text;
    righttype text;
    args text;
BEGIN
    FOR lefttype, righttype IN
        SELECT t, t FROM unnest('{text,name,int4,int8,oid,bool,timestamptz,bytea}'::text[]) t
        UNION ALL VALUES ('timestamptz', 'interval'), ('name', 'text'), ('text', 'name'), ('int4', 'int8'), ('int8', 'int4'), ('text', 'text[]'), ('name', 'text[]')
    LOOP
        EXECUTE format('CREATE FUNCTION regress_kv_evil.trap(%1$s, %2$s) RETURNS bool LANGUAGE sql AS ''SELECT regress_kv_evil.sprung(); SELECT true''', lefttype, righttype);
        FOREACH name IN ARRAY '{=,<>,<,>,<=,>=,~}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR regress_kv_evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_kv_evil.trap)', name, lefttype, righttype);
        END LOOP;
        EXECUTE format('CREATE FUNCTION regress_kv_evil.join(%1$s, %2$s) RETURNS text LANGUAGE sql AS ''SELECT regress_kv_evil.sprung(); SELECT ''''x''''::text''', lefttype, righttype);
        FOREACH name IN ARRAY '{||,+,-}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR regress_kv_evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_kv_evil.join)', name, lefttype, righttype);
        END LOOP;
    END LOOP;
    FOREACH name IN ARRAY '{current_user_id,octet_length,length,clock_timestamp,now,date_trunc,max,min,count,sum,round,concat,unnest,aclexplode,pg_get_userbyid,lower,starts_with,array_agg,string_agg,row_number,format,quote_ident,current_setting,get,set}'::text[] LOOP
        FOREACH args IN ARRAY '{"",text,"text, text","text, text, text",name,int4,oid,aclitem[],text[]}'::text[] LOOP
            EXECUTE format('CREATE FUNCTION regress_kv_evil.%I(%s) RETURNS text LANGUAGE sql AS ''SELECT regress_kv_evil.sprung(); SELECT ''''user_b''''::text''', name, args);
        END LOOP;
    END LOOP;
END $$;
-- temporary relations and types come before all others, whatever the path
SET client_min_messages = error; -- Citus, where it is installed, warns of what is in pg_temp
CREATE FUNCTION pg_temp.current_user_id() RETURNS text LANGUAGE sql AS $$ SELECT 'user_b' $$;
CREATE TEMP TABLE secrets (user_id text, provider text, label text, version int, root_key_id text, sealed bytea, hint text, expires_at timestamptz);
CREATE TEMP TABLE providers (name text, env_var text);
CREATE TEMP TABLE own_providers (name text);
CREATE TEMP TABLE root_key_registry (id text);
CREATE TEMP TABLE pg_parameter_acl AS SELECT * FROM pg_catalog.pg_parameter_acl LIMIT 0;
CREATE FUNCTION pg_temp.level_rights() RETURNS TABLE (privilege text, levels text[]) LANGUAGE sql AS $$ SELECT 'SELECT ON TABLE key_vault.inventory'::text, '{user}'::text[] $$;
CREATE TEMP TABLE pg_class AS SELECT * FROM pg_catalog.pg_class LIMIT 0;
CREATE TEMP TABLE pg_namespace AS SELECT * FROM pg_catalog.pg_namespace LIMIT 0;
CREATE TEMP TABLE pg_proc AS SELECT * FROM pg_catalog.pg_proc LIMIT 0;
CREATE TEMP TABLE pg_settings AS SELECT * FROM pg_catalog.pg_settings LIMIT 0;
CREATE TEMP TABLE pg_roles AS SELECT * FROM pg_catalog.pg_roles LIMIT 0;
CREATE TEMP TABLE pg_extension AS SELECT * FROM pg_catalog.pg_extension LIMIT 0;
CREATE TEMP TABLE pg_policies AS SELECT * FROM pg_catalog.pg_policies LIMIT 0;
CREATE TYPE pg_temp.text AS ENUM ('a');
CREATE TYPE pg_temp.name AS ENUM ('a');
CREATE TYPE pg_temp.oid AS ENUM ('a');
CREATE TYPE pg_temp.regclass AS ENUM ('a');
CREATE TYPE pg_temp.interval AS ENUM ('a');
CREATE TYPE pg_temp.timestamptz AS ENUM ('a');
SET client_min_messages = warning;
RESET ROLE;

-- the traps work
SET search_path = regress_kv_evil, pg_catalog;
SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text AS trapped;

-- a user: sees and changes their own, and nothing springs
SET key_vault.user_id = 'user_a';
SET ROLE regress_kv_user;
SELECT key_vault.current_user_id();
SELECT key_vault.get('user_a', 'exa'), key_vault.require('user_a', 'serper'), key_vault.source('user_a', 'exa');
SELECT key_vault.get_all(NULL);
SELECT provider, version, hint, status FROM key_vault.list('user_a');
SELECT version, is_current FROM key_vault.versions('user_a', 'exa');
SELECT provider, configured, source FROM key_vault.onboarding('user_a');
SELECT key_vault.get('user_b', 'exa');
SELECT user_id, provider FROM key_vault.secrets;
SELECT session_id, provider, key FROM key_vault.api_keys;
SELECT key_vault.set('user_a', 'exa', pg_catalog.repeat('n', 20)), key_vault.set('user_a', 'exa', pg_catalog.repeat('m', 20)), key_vault.set('user_a', 'exa', pg_catalog.repeat('o', 20), if_version => 3);
SELECT key_vault.rollback('user_a', 'exa', 2), key_vault.get('user_a', 'exa');
SELECT key_vault.record_usage('user_a', 'exa', 1, 2, 3.5);
SELECT user_id, provider, requests, tokens, cost FROM key_vault.monthly_costs;
SELECT provider, version FROM key_vault.import_dotenv('user_a', pg_catalog.concat('EXA_API_KEY=', pg_catalog.repeat('p', 20)));
SELECT mode FROM key_vault.mode();
-- the planner's way too
RESET ROLE;
CREATE POLICY harmless ON key_vault_data.secrets USING (false);
SET ROLE regress_kv_user;
SELECT key_vault.get('user_a', 'exa'), key_vault.source('user_a', 'serper');
SELECT key_vault.delete('user_a', 'serper');
SELECT key_vault.forget('user_a');
RESET ROLE;
DROP POLICY harmless ON key_vault_data.secrets;
RESET key_vault.user_id;
SELECT user_id, provider FROM key_vault.secrets;

-- a service
SET ROLE regress_kv_service;
SELECT key_vault.set('user_c', 'exa', pg_catalog.repeat('c', 20)), key_vault.get('user_c', 'exa'), key_vault.get('user_b', 'exa');
SELECT * FROM key_vault.import_keys('SELECT ''user_c''::pg_catalog.text, ''serper''::pg_catalog.text, pg_catalog.repeat(''s'', 20)');
RESET ROLE;

-- an admin
SET ROLE regress_kv_admin;
SELECT item, state FROM key_vault.status() WHERE item OPERATOR(pg_catalog.~) '^(root_key|sealed_rows|policies)$';
SELECT pg_catalog.length(key_vault.create_root_key()) AS made;
SELECT state, secrets FROM key_vault.root_keys ORDER BY activated_at;
SELECT key_vault.activate_root_key(id) FROM key_vault.root_keys WHERE activated_at IS NULL;
CALL key_vault.rotate_root_key();
SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys WHERE secrets OPERATOR(pg_catalog.=) 0;
SELECT state, secrets FROM key_vault.root_keys ORDER BY activated_at;
SELECT state, total, done FROM key_vault.rotation_progress;
SELECT user_id, provider, version FROM key_vault.inventory ORDER BY user_id, provider;
SELECT key_vault.add_provider('acme', aliases => '{a}'), key_vault.remove_provider('acme');
SELECT role, level, complete FROM key_vault.access ORDER BY role;
RESET ROLE;

-- a superuser, with the same path and the same temporary things
SELECT key_vault.grant_access('regress_kv_other', 'service'), key_vault.grant_access('regress_kv_other', 'user'), key_vault.revoke_access('regress_kv_other');
SELECT role, level FROM key_vault.access ORDER BY role;
SELECT key_vault.get('user_b', 'exa'), key_vault.get_all('user_c');
SELECT pg_catalog.count(*) FROM key_vault.status() WHERE state OPERATOR(pg_catalog.=) 'error';

-- a session whose first call comes with that path: the plans that it keeps are made under it
\c -
SET client_min_messages = warning;
SET jit = off;
SET search_path = regress_kv_evil, pg_catalog;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_user;
SELECT key_vault.get('user_b', 'exa'), key_vault.get_all('user_b'), key_vault.set('user_b', 'exa', pg_catalog.repeat('n', 20)), key_vault.delete('user_b', 'serper');
SELECT provider, version FROM key_vault.list('user_b');
-- and they are the same plans after it
RESET search_path;
SELECT key_vault.get('user_b', 'exa'), key_vault.get_all('user_b'), key_vault.set('user_b', 'exa', pg_catalog.repeat('n', 20));
RESET ROLE;

SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
SET client_min_messages = error;
DROP SCHEMA regress_kv_evil CASCADE;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_other;
