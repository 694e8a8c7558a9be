-- Once for each database, by a superuser, and again whenever you like:
--
--     JWT_SECRET=... psql -v ON_ERROR_STOP=1 -f 1_by_the_dba.sql "$SUPERUSER_URL"
--
-- (or JWT_SECRET_FILE, a file with it.)
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

-- The first root key.  Later ones are made when you rotate, not here.
SELECT key_vault.create_root_key()
WHERE NOT EXISTS (SELECT FROM key_vault.root_keys WHERE state = 'active');

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

-- The login, whose tokens say who a user is.  It signs with a secret that it shares with
-- this database.  With Auth0, Clerk and the like give their public keys instead:
-- docs/identity.md shows the call for each.
\set jwt_secret `printf %s "${JWT_SECRET:-$(cat "${JWT_SECRET_FILE:-/dev/null}")}"`
SELECT key_vault.trust_issuer('app-login', '{app}', jsonb_build_object('keys', jsonb_build_array(jsonb_build_object(
    'kty', 'oct', 'alg', 'HS256', 'k', translate(encode(convert_to(:'jwt_secret', 'UTF8'), 'base64'), E'+/=\n', '-_')))));

-- The backend: acts for the user whose token it shows, and for nobody else.  What it may
-- create, SQL injected into one request could leave for another's: nothing.
SELECT key_vault.grant_access('app', 'user');
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec
-- Deployments: providers and root keys, and no key of any user.
SELECT key_vault.grant_access('migrator', 'admin');
