-- A schema that somebody makes under the name of one of ours, after ours was renamed: we
-- run nothing that is in it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
SELECT key_vault.grant_access('regress_kv_user', 'user');
SET key_vault.user_id = 'user_a';
-- with the plans of all statements ready, and all tables known
SELECT key_vault.set(NULL, 'exa', repeat('k', 20)), key_vault.get(NULL, 'exa') IS NOT NULL AS found;
SELECT count(*) FROM key_vault.list(NULL);

DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_kv_user', current_database()); END $$;
ALTER SCHEMA key_vault RENAME TO kv_renamed;
SET ROLE regress_kv_user;
CREATE SCHEMA key_vault;
SELECT kv_renamed.set(NULL, 'exa', repeat('l', 20));
SELECT kv_renamed.get(NULL, 'exa');
RESET ROLE;
DROP SCHEMA key_vault;
ALTER SCHEMA kv_renamed RENAME TO key_vault;
SELECT key_vault.get(NULL, 'exa') = repeat('k', 20) AS found;

ALTER SCHEMA key_vault_data RENAME TO kv_renamed;
\set VERBOSITY default
SELECT key_vault.set(NULL, 'exa', repeat('l', 20));
\set VERBOSITY sqlstate
SET ROLE regress_kv_user;
CREATE SCHEMA key_vault_data;
CREATE TABLE key_vault_data.secrets (
    user_id text COLLATE "C", provider text COLLATE "C", label text COLLATE "C", version int,
    root_key_id text COLLATE "C", sealed bytea, hint text COLLATE "C", expires_at timestamptz,
    created_at timestamptz, PRIMARY KEY (user_id, provider, label, version));
CREATE TABLE key_vault_data.root_key_registry (id text, created_at timestamptz, activated_at timestamptz, retired_at timestamptz);
CREATE TABLE key_vault_data.own_providers (name text, display_name text, env_var text, aliases text[],
    key_prefixes text[], required boolean, category text, key_url text, hidden boolean);
CREATE TABLE key_vault_data.builtin_providers AS TABLE key_vault.providers;
CREATE FUNCTION key_vault_data.become() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN ALTER ROLE regress_kv_user CREATEROLE; RETURN NEW; END $$;
CREATE TRIGGER become BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION key_vault_data.become();
INSERT INTO key_vault_data.root_key_registry SELECT root_key_id, now(), now() FROM key_vault.secrets;
SELECT key_vault.set(NULL, 'exa', repeat('m', 20));
SELECT key_vault.get(NULL, 'exa');
SELECT key_vault.list(NULL);
SELECT key_vault.delete(NULL, 'exa');
RESET ROLE;
SELECT rolcreaterole FROM pg_roles WHERE rolname = 'regress_kv_user';

-- ours again
DROP SCHEMA key_vault_data CASCADE;
ALTER SCHEMA kv_renamed RENAME TO key_vault_data;
SELECT key_vault.set(NULL, 'exa', repeat('n', 20)), key_vault.get(NULL, 'exa') = repeat('n', 20) AS found;

-- and not one that was a superuser's who is none any more, with the schemas known
CREATE ROLE regress_kv_owner SUPERUSER;
ALTER SCHEMA key_vault_data RENAME TO kv_renamed;
SET ROLE regress_kv_owner;
CREATE SCHEMA key_vault_data;
CREATE TABLE key_vault_data.secrets (LIKE kv_renamed.secrets INCLUDING ALL);
CREATE TABLE key_vault_data.last_uses (LIKE kv_renamed.last_uses INCLUDING ALL);
CREATE TABLE key_vault_data.outcomes (LIKE kv_renamed.outcomes INCLUDING ALL);
RESET ROLE;
SELECT count(*) FROM key_vault.list(NULL);
ALTER ROLE regress_kv_owner NOSUPERUSER;
SELECT key_vault.get(NULL, 'exa');
DROP SCHEMA key_vault_data CASCADE;
ALTER SCHEMA kv_renamed RENAME TO key_vault_data;
SELECT key_vault.get(NULL, 'exa') = repeat('n', 20) AS found;
DROP ROLE regress_kv_owner;

RESET key_vault.user_id;
DROP EXTENSION key_vault;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_kv_user', current_database()); END $$;
DROP ROLE regress_kv_user;
