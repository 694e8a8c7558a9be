-- tables.sql: what compare.sh measures, in a database of its own.
--
-- Variables: secrets (how many each table holds), owned (how many of them are
-- the labels of one user; every other user has one).
--
-- Each table has the columns that its way of keeping keys needs, key_vault's own
-- collation, and key_vault's own policy, so that only the way differs.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO app;

CREATE TABLE bench.plaintext (
    user_id     text COLLATE "C" NOT NULL,
    provider    text COLLATE "C" NOT NULL,
    label       text COLLATE "C" NOT NULL,
    version     int NOT NULL DEFAULT 1,
    api_key     text NOT NULL,
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, provider, label)
);

-- pgp_sym_encrypt with its defaults, and without its slow key derivation
CREATE TABLE bench.pgp (LIKE bench.plaintext INCLUDING ALL);
ALTER TABLE bench.pgp DROP COLUMN api_key, ADD COLUMN sealed bytea NOT NULL;
CREATE TABLE bench.pgp_s2k0 (LIKE bench.pgp INCLUDING ALL);

SELECT format('ALTER TABLE bench.%1$I ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON bench.%1$I FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id());
GRANT SELECT, INSERT, UPDATE ON bench.%1$I TO app', name)
FROM unnest('{plaintext,pgp,pgp_s2k0}'::text[]) AS name \gexec

-- Whose, which label, and a key of 39 characters
CREATE VIEW bench.content AS
    SELECT CASE WHEN i > :owned THEN 1000000000 + i - :owned ELSE 1000000000 END::text AS user_id,
           CASE WHEN i > :owned THEN 'default' ELSE i::text END AS label,
           'AIzaSy' || rpad(md5(i::text), 33, 'x') AS api_key
    FROM generate_series(1, :secrets) AS i;

INSERT INTO bench.plaintext (user_id, provider, label, api_key)
SELECT user_id, 'gemini', label, api_key FROM bench.content;

-- A thousand messages, over and over: making each would take minutes
CREATE TEMPORARY TABLE messages AS
    SELECT i,
           pgp_sym_encrypt(rpad('AIzaSy', 39, md5(i::text)), 'passphrase', 'cipher-algo=aes256') AS pgp,
           pgp_sym_encrypt(rpad('AIzaSy', 39, md5(i::text)), 'passphrase', 'cipher-algo=aes256, s2k-mode=0') AS pgp_s2k0
    FROM generate_series(0, 999) AS i;
INSERT INTO bench.pgp (user_id, provider, label, sealed)
SELECT user_id, 'gemini', label, pgp
FROM (SELECT *, row_number() OVER () AS n FROM bench.content) AS c JOIN messages ON i = n % 1000
ORDER BY n;
INSERT INTO bench.pgp_s2k0 (user_id, provider, label, sealed)
SELECT user_id, 'gemini', label, pgp_s2k0
FROM (SELECT *, row_number() OVER () AS n FROM bench.content) AS c JOIN messages ON i = n % 1000
ORDER BY n;

-- For one SELECT over many users: in their order, and again from the first
CREATE TABLE bench.users AS
    SELECT (1000000001 + i % (:secrets - :owned))::text AS id FROM generate_series(0, 49999) AS i;
GRANT SELECT ON bench.users TO app;
