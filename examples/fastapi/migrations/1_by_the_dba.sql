-- Once for each database, by a superuser, and again whenever you like:
--
--     psql -v ON_ERROR_STOP=1 -f 1_by_the_dba.sql "$SUPERUSER_URL"
--
-- Before it, say where the keyring shall be: a folder outside the data directory
-- that belongs to the server's user alone.
--
--     LOAD 'key_vault';
--     ALTER SYSTEM SET key_vault.keyring_file = '/etc/postgresql/key_vault/%d.keyring';
--
-- and have the server load the library when it starts.  What the list has already is named
-- again, each library in quotes of its own:
--
--     SHOW shared_preload_libraries;
--     ALTER SYSTEM SET shared_preload_libraries = 'key_vault';
--
-- Then restart the server.

CREATE EXTENSION IF NOT EXISTS key_vault;

-- How they log in is yours to say: pg_hba.conf, a certificate, a password.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN
        CREATE ROLE app LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'migrator') THEN
        CREATE ROLE migrator LOGIN;
    END IF;
END
$$;

-- The backend: may act for any user, and needs a superuser for that, once.
SELECT key_vault.grant_access('app', 'service');
-- Deployments: providers and root keys, and no key of any user.
SELECT key_vault.grant_access('migrator', 'admin');
