-- plain.sql: the plaintext table of tables.sql on a server without key_vault.
--
-- Variables: secrets, owned, as there.

\set ON_ERROR_STOP on
\set QUIET on

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
ALTER TABLE bench.plaintext ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON bench.plaintext FOR ALL TO PUBLIC USING (user_id = current_setting('bench.user_id', true));
GRANT SELECT ON bench.plaintext TO app;

INSERT INTO bench.plaintext (user_id, provider, label, api_key)
SELECT CASE WHEN i > :owned THEN 1000000000 + i - :owned ELSE 1000000000 END::text, 'gemini',
       CASE WHEN i > :owned THEN 'default' ELSE i::text END, 'AIzaSy' || rpad(md5(i::text), 33, 'x')
FROM generate_series(1, :secrets) AS i;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
