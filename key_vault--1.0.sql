/* key_vault--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION key_vault" to load this file. \quit

-- CREATE EXTENSION searches pg_catalog and no other schema: nobody's functions and operators
-- match better than PostgreSQL's own.  It would search the schemas of required extensions, too.

-- Nobody can own the schemas beforehand: this fails when one is there.
CREATE SCHEMA key_vault;
REVOKE ALL ON SCHEMA key_vault FROM PUBLIC;
COMMENT ON SCHEMA key_vault IS 'each user''s third-party API keys, encrypted and isolated';

-- The tables have a schema of their own, in which no level may name anything: who can
-- name a table can queue a lock on it, before PostgreSQL asks who owns the table.
CREATE SCHEMA key_vault_data;
REVOKE ALL ON SCHEMA key_vault_data FROM PUBLIC;
COMMENT ON SCHEMA key_vault_data IS 'the tables of key_vault; read and written through the functions and views of schema key_vault';


-- Identity

CREATE FUNCTION key_vault.current_user_id()
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_current_user_id'
LANGUAGE C STABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION key_vault.current_user_id FROM PUBLIC;
COMMENT ON FUNCTION key_vault.current_user_id IS 'the user that the current transaction acts for, or NULL; every policy compares with it';

CREATE FUNCTION key_vault.current_team_id()
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_current_team_id'
LANGUAGE C STABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION key_vault.current_team_id FROM PUBLIC;
COMMENT ON FUNCTION key_vault.current_team_id IS 'the team of the current transaction, or NULL; its keys serve a user who has none';


-- Tables of which backends keep a copy tell them about changes.  By row, for that is what logical
-- replication fires; and always, for it fires no others.

CREATE FUNCTION key_vault.metadata_changed()
RETURNS trigger
AS 'MODULE_PATHNAME', 'kv_sql_metadata_changed'
LANGUAGE C;
REVOKE ALL ON FUNCTION key_vault.metadata_changed FROM PUBLIC;
COMMENT ON FUNCTION key_vault.metadata_changed IS 'internal: tells backends to read a table anew';


-- Secrets

CREATE TABLE key_vault_data.secrets (
    user_id      text COLLATE "C" NOT NULL
        CONSTRAINT secrets_user_id_length CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    provider     text COLLATE "C" NOT NULL
        CONSTRAINT secrets_provider_length CHECK (octet_length(provider) BETWEEN 1 AND 63),
    label        text COLLATE "C" NOT NULL
        CONSTRAINT secrets_label_length CHECK (octet_length(label) BETWEEN 1 AND 63),
    version      int NOT NULL
        CONSTRAINT secrets_version_positive CHECK (version > 0),
    root_key_id  text COLLATE "C" NOT NULL
        CONSTRAINT secrets_root_key_id_length CHECK (octet_length(root_key_id) = 16),
    sealed       bytea NOT NULL
        CONSTRAINT secrets_sealed_length CHECK (octet_length(sealed) > 49),
    hint         text COLLATE "C"
        CONSTRAINT secrets_hint_length CHECK (octet_length(hint) <= 16),
    expires_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    attributes   jsonb
        CONSTRAINT secrets_attributes_object CHECK (jsonb_typeof(attributes) = 'object'),
    PRIMARY KEY (user_id, provider, label, version)
);
REVOKE ALL ON TABLE key_vault_data.secrets FROM PUBLIC;
ALTER TABLE key_vault_data.secrets
    ALTER COLUMN sealed SET STATISTICS 0,
    ALTER COLUMN hint SET STATISTICS 0,
    ALTER COLUMN attributes SET STATISTICS 0;
-- In the order in which they expire: none of those that never do.
CREATE INDEX secrets_expiry ON key_vault_data.secrets (expires_at, user_id, provider, label, version)
    WHERE expires_at IS NOT NULL;
COMMENT ON INDEX key_vault_data.secrets_expiry IS 'finds what expires, for expiring() and purge()';
ALTER TABLE key_vault_data.secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON key_vault_data.secrets FOR ALL TO PUBLIC
    USING (user_id = key_vault.current_user_id());
COMMENT ON POLICY own_rows ON key_vault_data.secrets IS 'a transaction reaches the rows of its identity only';
COMMENT ON TABLE key_vault_data.secrets IS 'one row for each version of each API key, sealed; read and written through the functions';
COMMENT ON COLUMN key_vault_data.secrets.user_id IS 'the application''s id of an end user, or team: and a team''s id; 1 to 255 bytes';
COMMENT ON COLUMN key_vault_data.secrets.provider IS 'registered name of the API';
COMMENT ON COLUMN key_vault_data.secrets.label IS 'which of several keys for one provider, 1 to 63 bytes';
COMMENT ON COLUMN key_vault_data.secrets.version IS 'counts from 1; the highest is current';
COMMENT ON COLUMN key_vault_data.secrets.root_key_id IS 'the root key that seals it, 16 hex digits';
COMMENT ON COLUMN key_vault_data.secrets.sealed IS 'XAES-256-GCM: format byte, root key id (8), nonce (24), ciphertext, tag (16)';
COMMENT ON COLUMN key_vault_data.secrets.hint IS 'last four characters of the key, or NULL';
COMMENT ON COLUMN key_vault_data.secrets.expires_at IS 'from then on get returns NULL; NULL: never';
COMMENT ON COLUMN key_vault_data.secrets.created_at IS 'when this version was set';
COMMENT ON COLUMN key_vault_data.secrets.attributes IS 'what belongs with the key and is not secret, bound to it; or NULL';
SELECT pg_extension_config_dump('key_vault_data.secrets', '');

-- For people who look: rights and policy are those of who looks.  No function reads it,
-- because whoever may name it can queue a lock on it.
CREATE VIEW key_vault.secrets WITH (security_invoker, security_barrier) AS
    SELECT user_id, provider, label, version, root_key_id, sealed, hint, expires_at, created_at, attributes
    FROM key_vault_data.secrets;
REVOKE ALL ON key_vault.secrets FROM PUBLIC;
COMMENT ON VIEW key_vault.secrets IS 'the identity''s rows, sealed: one for each version of each API key';

CREATE FUNCTION key_vault.set(
    user_id text,
    provider text,
    api_key text,
    label text DEFAULT 'default',
    expires_at timestamptz DEFAULT NULL,
    if_version int DEFAULT NULL,
    attributes jsonb DEFAULT NULL)
RETURNS int
AS 'MODULE_PATHNAME', 'kv_sql_set'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.set FROM PUBLIC;
COMMENT ON FUNCTION key_vault.set IS 'stores a new version of an API key and returns its number; if_version makes it check-and-set (0: must not exist yet); attributes are kept in the clear and bound to the key';

CREATE FUNCTION key_vault.inspect_key(
    provider text,
    api_key text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'kv_sql_inspect_key'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION key_vault.inspect_key FROM PUBLIC;
COMMENT ON FUNCTION key_vault.inspect_key IS 'what is odd about an API key, as sentences for a user; none when nothing is; stores nothing';

CREATE FUNCTION key_vault.get(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_get'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.get FROM PUBLIC;
COMMENT ON FUNCTION key_vault.get IS 'the current API key, or NULL when there is none or it has expired';

CREATE FUNCTION key_vault.require(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_require'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.require FROM PUBLIC;
COMMENT ON FUNCTION key_vault.require IS 'the current API key, or error P0002 that says why there is none';

-- A type with a name: to make one up from a list of columns costs each call a tenth more.
CREATE TYPE key_vault.looked_up AS (
    api_key text,
    source text,
    label text,
    version int,
    expires_at timestamptz,
    attributes jsonb,
    last_outcome text,
    last_outcome_at timestamptz);
REVOKE ALL ON TYPE key_vault.looked_up FROM PUBLIC;
COMMENT ON TYPE key_vault.looked_up IS 'what lookup() returns';

CREATE FUNCTION key_vault.lookup(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS SETOF key_vault.looked_up
AS 'MODULE_PATHNAME', 'kv_sql_lookup'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION key_vault.lookup FROM PUBLIC;
COMMENT ON FUNCTION key_vault.lookup IS 'the current API key with all that a call needs besides it, and who pays for the call, in one row; no row when there is none or it has expired';

CREATE FUNCTION key_vault.get_all(user_id text)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'kv_sql_get_all'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.get_all FROM PUBLIC;
COMMENT ON FUNCTION key_vault.get_all IS 'all current API keys with the label default, by provider; null and a WARNING for one that does not open';

CREATE FUNCTION key_vault.source(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_source'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.source FROM PUBLIC;
COMMENT ON FUNCTION key_vault.source IS 'where get would take the API key from: dotenv, user, team or NULL';

CREATE FUNCTION key_vault.list(user_id text)
RETURNS TABLE (
    provider text,
    label text,
    version int,
    hint text,
    created_at timestamptz,
    expires_at timestamptz,
    status text,
    attributes jsonb,
    last_used_at timestamptz,
    uses bigint,
    last_outcome text,
    last_outcome_at timestamptz)
AS 'MODULE_PATHNAME', 'kv_sql_list'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;
REVOKE ALL ON FUNCTION key_vault.list FROM PUBLIC;
COMMENT ON FUNCTION key_vault.list IS 'the user''s current API keys by provider and label, without the keys';

CREATE FUNCTION key_vault.delete(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.delete FROM PUBLIC;
COMMENT ON FUNCTION key_vault.delete IS 'removes every version of an API key; false when there was none';

CREATE FUNCTION key_vault.forget(user_id text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'kv_sql_forget'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.forget FROM PUBLIC;
COMMENT ON FUNCTION key_vault.forget IS 'removes everything stored about a user and returns how many secrets that were';

CREATE FUNCTION key_vault.versions(
    user_id text,
    provider text,
    label text DEFAULT 'default')
RETURNS TABLE (
    version int,
    hint text,
    created_at timestamptz,
    expires_at timestamptz,
    is_current boolean,
    attributes jsonb)
AS 'MODULE_PATHNAME', 'kv_sql_versions'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 3;
REVOKE ALL ON FUNCTION key_vault.versions FROM PUBLIC;
COMMENT ON FUNCTION key_vault.versions IS 'the versions of an API key that are kept, newest first, without the keys';

CREATE FUNCTION key_vault.rollback(
    user_id text,
    provider text,
    version int,
    label text DEFAULT 'default')
RETURNS int
AS 'MODULE_PATHNAME', 'kv_sql_rollback'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.rollback FROM PUBLIC;
COMMENT ON FUNCTION key_vault.rollback IS 'makes an older version current as a new one and returns its number';

-- The owner's view, for those who may know what there is but read no key.
CREATE VIEW key_vault.inventory WITH (security_barrier) AS
    SELECT user_id, provider, label, version,
           version = max(version) OVER (PARTITION BY user_id, provider, label) AS is_current,
           hint, root_key_id, created_at, expires_at,
           CASE WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'active' END AS status
    FROM key_vault_data.secrets;
REVOKE ALL ON key_vault.inventory FROM PUBLIC;
COMMENT ON VIEW key_vault.inventory IS 'every version of every user''s API keys, without the keys, for admins';

CREATE FUNCTION key_vault.expiring(within interval)
RETURNS TABLE (
    user_id text,
    provider text,
    label text,
    version int,
    hint text,
    expires_at timestamptz)
AS 'MODULE_PATHNAME', 'kv_sql_expiring'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.expiring FROM PUBLIC;
COMMENT ON FUNCTION key_vault.expiring IS 'the current API keys of all users that expire within an interval from now, for admins and monitors';

CREATE FUNCTION key_vault.verify_secrets()
RETURNS TABLE (
    user_id text,
    provider text,
    label text,
    version int,
    root_key_id text,
    reason text)
AS 'MODULE_PATHNAME', 'kv_sql_verify_secrets'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.verify_secrets FROM PUBLIC;
COMMENT ON FUNCTION key_vault.verify_secrets IS 'tries every version of every user''s API keys and returns those that do not open, and why, for admins';

CREATE PROCEDURE key_vault.purge(batch_size int DEFAULT 1000)
AS 'MODULE_PATHNAME', 'kv_sql_purge'
LANGUAGE C;
REVOKE ALL ON PROCEDURE key_vault.purge FROM PUBLIC;
COMMENT ON PROCEDURE key_vault.purge IS 'removes all versions of what expired longer ago than key_vault.purge_after, and audit records older than key_vault.audit_keep, committing each batch';


-- Use

-- Neither table has a foreign key to secrets: whoever writes here must not wait for what a
-- tenant keeps locked there.  A row tells of the version that was set at set_at, and of no other
-- one; so a set need not write here.

CREATE TABLE key_vault_data.last_uses (
    user_id       text COLLATE "C" NOT NULL,
    provider      text COLLATE "C" NOT NULL,
    label         text COLLATE "C" NOT NULL,
    version       int NOT NULL,
    set_at        timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    uses          bigint NOT NULL,
    PRIMARY KEY (user_id, provider, label)
) WITH (fillfactor = 70);
REVOKE ALL ON TABLE key_vault_data.last_uses FROM PUBLIC;
ALTER TABLE key_vault_data.last_uses ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON key_vault_data.last_uses FOR ALL TO PUBLIC
    USING (user_id = key_vault.current_user_id());
COMMENT ON POLICY own_rows ON key_vault_data.last_uses IS 'a transaction reaches the rows of its identity only';
COMMENT ON TABLE key_vault_data.last_uses IS 'when each API key was last used, and how often; written by a worker once a minute at most for a key';
COMMENT ON COLUMN key_vault_data.last_uses.user_id IS 'whose key it is: a user, or team: and a team''s id';
COMMENT ON COLUMN key_vault_data.last_uses.version IS 'the version that was used';
COMMENT ON COLUMN key_vault_data.last_uses.set_at IS 'when that version was set';
SELECT pg_extension_config_dump('key_vault_data.last_uses', '');

-- Members of a team have rows of their own for its keys: none waits for another.
CREATE TABLE key_vault_data.outcomes (
    user_id      text COLLATE "C" NOT NULL,
    provider     text COLLATE "C" NOT NULL,
    label        text COLLATE "C" NOT NULL,
    recorded_by  text COLLATE "C" NOT NULL,
    version      int NOT NULL,
    set_at       timestamptz NOT NULL,
    outcome      text COLLATE "C" NOT NULL
        CONSTRAINT outcomes_outcome CHECK (outcome IN ('accepted', 'rejected', 'quota')),
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, provider, label, recorded_by)
) WITH (fillfactor = 70);
REVOKE ALL ON TABLE key_vault_data.outcomes FROM PUBLIC;
ALTER TABLE key_vault_data.outcomes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON key_vault_data.outcomes FOR ALL TO PUBLIC
    USING (user_id = key_vault.current_user_id());
COMMENT ON POLICY own_rows ON key_vault_data.outcomes IS 'a transaction reaches the rows of its identity only';
CREATE INDEX outcomes_of_members ON key_vault_data.outcomes (recorded_by) WHERE recorded_by <> user_id;
COMMENT ON INDEX key_vault_data.outcomes_of_members IS 'finds what a user recorded of a team''s keys, for forget()';
COMMENT ON TABLE key_vault_data.outcomes IS 'what providers last said of API keys, by who recorded it';
COMMENT ON COLUMN key_vault_data.outcomes.user_id IS 'whose key it is: a user, or team: and a team''s id';
COMMENT ON COLUMN key_vault_data.outcomes.recorded_by IS 'the user for whom the provider was called';
COMMENT ON COLUMN key_vault_data.outcomes.version IS 'the version that was used';
COMMENT ON COLUMN key_vault_data.outcomes.set_at IS 'when that version was set';
SELECT pg_extension_config_dump('key_vault_data.outcomes', '');

CREATE FUNCTION key_vault.record_outcome(
    user_id text,
    provider text,
    outcome text,
    label text DEFAULT 'default',
    version int DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_record_outcome'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.record_outcome FROM PUBLIC;
COMMENT ON FUNCTION key_vault.record_outcome IS 'records what the provider said of the API key that serves: accepted, rejected or quota; false when there is no key, or version is not the current one';


-- Audit

-- One row for each call that reached or asked for a key.  One process adds rows, the worker of
-- this database; numbers have no gaps.
CREATE TABLE key_vault_data.audit (
    number            bigint PRIMARY KEY,
    at                timestamptz NOT NULL,
    action            text COLLATE "C" NOT NULL,
    outcome           text COLLATE "C" NOT NULL,
    user_id           text COLLATE "C",
    provider          text COLLATE "C",
    label             text COLLATE "C",
    version           int,
    subject           text COLLATE "C",
    role              text COLLATE "C",
    application_name  text COLLATE "C",
    client_addr       text COLLATE "C",
    backend_pid       int NOT NULL,
    backend_start     timestamptz NOT NULL,
    sqlstate          text COLLATE "C",
    user_hash         bytea,
    mac               bytea NOT NULL,
    team_id           text COLLATE "C",
    team_hash         bytea
);
REVOKE ALL ON TABLE key_vault_data.audit FROM PUBLIC;
ALTER TABLE key_vault_data.audit
    ALTER COLUMN user_hash SET STATISTICS 0,
    ALTER COLUMN mac SET STATISTICS 0,
    ALTER COLUMN team_hash SET STATISTICS 0;
ALTER TABLE key_vault_data.audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON key_vault_data.audit FOR ALL TO PUBLIC
    USING (user_id = key_vault.current_user_id());
COMMENT ON POLICY own_rows ON key_vault_data.audit IS 'a transaction reaches the rows of its identity only';
-- Not a B-tree: to put each record into one takes longer than all else that its writing
-- takes.  What is not summarized yet is read whole, hence the early vacuum.
CREATE INDEX audit_users ON key_vault_data.audit
    USING brin (user_id text_bloom_ops, team_id text_bloom_ops) WITH (pages_per_range = 32);
ALTER TABLE key_vault_data.audit SET (
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000);
COMMENT ON INDEX key_vault_data.audit_users IS 'where records of a user or a team may be, for read_history() and forget()';
COMMENT ON TABLE key_vault_data.audit IS 'one row for each call that reached or asked for a key, chained; written by the audit''s worker';
COMMENT ON COLUMN key_vault_data.audit.user_id IS 'for whom the call was; NULL once forget() has taken it out';
COMMENT ON COLUMN key_vault_data.audit.team_id IS 'the team whose key it was; NULL for a user''s own, and once forget() has taken it out';
COMMENT ON COLUMN key_vault_data.audit.team_hash IS 'as user_hash';
COMMENT ON COLUMN key_vault_data.audit.subject IS 'a root key''s id, or a role and its level';
COMMENT ON COLUMN key_vault_data.audit.user_hash IS 'HMAC of the user id under the chain key, which stays when the user id goes';
COMMENT ON COLUMN key_vault_data.audit.mac IS 'HMAC-SHA-256 under the chain key of the record and of its predecessor''s';
SELECT pg_extension_config_dump('key_vault_data.audit', '');

CREATE TABLE key_vault_data.audit_keys (
    first_number  bigint PRIMARY KEY,
    root_key_id   text COLLATE "C",
    sealed        bytea
);
REVOKE ALL ON TABLE key_vault_data.audit_keys FROM PUBLIC;
COMMENT ON TABLE key_vault_data.audit_keys IS 'the keys that chain the audit''s records, sealed; NULL for one that was discarded';
COMMENT ON COLUMN key_vault_data.audit_keys.first_number IS 'of the records that it chains, up to the next key''s';
COMMENT ON COLUMN key_vault_data.audit_keys.root_key_id IS 'the root key that seals it, 16 hex digits';
SELECT pg_extension_config_dump('key_vault_data.audit_keys', '');

CREATE TABLE key_vault_data.audit_checkpoint (
    single  boolean PRIMARY KEY DEFAULT true
        CONSTRAINT audit_checkpoint_single CHECK (single),
    number  bigint NOT NULL,
    at      timestamptz NOT NULL,
    mac     bytea NOT NULL,
    seal    bytea NOT NULL
);
REVOKE ALL ON TABLE key_vault_data.audit_checkpoint FROM PUBLIC;
COMMENT ON TABLE key_vault_data.audit_checkpoint IS 'the last record that purge() removed, where the chain goes on';
COMMENT ON COLUMN key_vault_data.audit_checkpoint.seal IS 'HMAC-SHA-256 under the chain key of the other columns';
SELECT pg_extension_config_dump('key_vault_data.audit_checkpoint', '');

CREATE VIEW key_vault.audit_log WITH (security_barrier) AS
    SELECT number, at, action, outcome, user_id, team_id, provider, label, version, subject, role,
           application_name, client_addr, backend_pid, backend_start, sqlstate,
           encode(mac, 'hex') AS mac
    FROM key_vault_data.audit;
REVOKE ALL ON key_vault.audit_log FROM PUBLIC;
COMMENT ON VIEW key_vault.audit_log IS 'who reached or asked for which key, and with what outcome, for auditors';
COMMENT ON COLUMN key_vault.audit_log.outcome IS 'ok, none, refused or unopened';

CREATE FUNCTION key_vault.read_history(
    user_id text,
    within interval DEFAULT '30 days')
RETURNS TABLE (
    at timestamptz,
    action text,
    outcome text,
    provider text,
    label text,
    version int,
    role text,
    application_name text,
    client_addr text,
    sqlstate text)
AS 'MODULE_PATHNAME', 'kv_sql_read_history'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.read_history FROM PUBLIC;
COMMENT ON FUNCTION key_vault.read_history IS 'who reached or asked for a user''s keys in the last while, the latest first';

CREATE FUNCTION key_vault.verify_audit(
    first_number bigint DEFAULT NULL,
    last_number bigint DEFAULT NULL)
RETURNS TABLE (
    number bigint,
    reason text)
AS 'MODULE_PATHNAME', 'kv_sql_verify_audit'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION key_vault.verify_audit FROM PUBLIC;
COMMENT ON FUNCTION key_vault.verify_audit IS 'the first audit record that was changed, removed or put in, and no row when there is none, for auditors';

CREATE FUNCTION key_vault.audit_head()
RETURNS TABLE (
    number bigint,
    at timestamptz,
    mac text)
AS 'MODULE_PATHNAME', 'kv_sql_audit_head'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION key_vault.audit_head FROM PUBLIC;
COMMENT ON FUNCTION key_vault.audit_head IS 'the last audit record, for keeping elsewhere, for auditors';


-- Root keys

CREATE TABLE key_vault_data.root_key_registry (
    id            text COLLATE "C" PRIMARY KEY
        CONSTRAINT root_key_registry_id_form CHECK (id ~ '^[0-9a-f]{16}$'),
    created_at    timestamptz NOT NULL,
    activated_at  timestamptz,
    retired_at    timestamptz
);
REVOKE ALL ON TABLE key_vault_data.root_key_registry FROM PUBLIC;
CREATE TRIGGER metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON key_vault_data.root_key_registry
    FOR EACH ROW EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.root_key_registry ENABLE ALWAYS TRIGGER metadata_changed;
COMMENT ON TRIGGER metadata_changed ON key_vault_data.root_key_registry IS 'tells backends to read the table anew';
CREATE TRIGGER metadata_emptied
    AFTER TRUNCATE ON key_vault_data.root_key_registry
    FOR EACH STATEMENT EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.root_key_registry ENABLE ALWAYS TRIGGER metadata_emptied;
COMMENT ON TRIGGER metadata_emptied ON key_vault_data.root_key_registry IS 'tells backends to read the table anew';
COMMENT ON TABLE key_vault_data.root_key_registry IS 'ids of the root keys that this database uses; the keys are in the keyring';
COMMENT ON COLUMN key_vault_data.root_key_registry.id IS 'first 8 bytes of SHA-256 over a domain tag and the root key, as 16 hex digits';
COMMENT ON COLUMN key_vault_data.root_key_registry.created_at IS 'when the root key was made';
COMMENT ON COLUMN key_vault_data.root_key_registry.activated_at IS 'the latest of those not retired is active';
COMMENT ON COLUMN key_vault_data.root_key_registry.retired_at IS 'from then on nothing may be sealed with it';
SELECT pg_extension_config_dump('key_vault_data.root_key_registry', '');

-- What else a root key seals.  Nothing of a record stands in the clear but its name.
CREATE TABLE key_vault_data.sealed_records (
    kind         text COLLATE "C" NOT NULL
        CONSTRAINT sealed_records_kind_length CHECK (octet_length(kind) BETWEEN 1 AND 63),
    name         text COLLATE "C" NOT NULL
        CONSTRAINT sealed_records_name_length CHECK (octet_length(name) BETWEEN 1 AND 255),
    root_key_id  text COLLATE "C" NOT NULL
        CONSTRAINT sealed_records_root_key_id_length CHECK (octet_length(root_key_id) = 16),
    sealed       bytea NOT NULL
        CONSTRAINT sealed_records_sealed_length CHECK (octet_length(sealed) > 49),
    PRIMARY KEY (kind, name)
);
REVOKE ALL ON TABLE key_vault_data.sealed_records FROM PUBLIC;
ALTER TABLE key_vault_data.sealed_records ALTER COLUMN sealed SET STATISTICS 0;
CREATE TRIGGER metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON key_vault_data.sealed_records
    FOR EACH ROW EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.sealed_records ENABLE ALWAYS TRIGGER metadata_changed;
COMMENT ON TRIGGER metadata_changed ON key_vault_data.sealed_records IS 'tells backends to read the table anew';
CREATE TRIGGER metadata_emptied
    AFTER TRUNCATE ON key_vault_data.sealed_records
    FOR EACH STATEMENT EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.sealed_records ENABLE ALWAYS TRIGGER metadata_emptied;
COMMENT ON TRIGGER metadata_emptied ON key_vault_data.sealed_records IS 'tells backends to read the table anew';
COMMENT ON TABLE key_vault_data.sealed_records IS 'what else is sealed with a root key: the issuers of tokens, and the key by which revoked users are known';
COMMENT ON COLUMN key_vault_data.sealed_records.kind IS 'issuer, or hash key';
COMMENT ON COLUMN key_vault_data.sealed_records.name IS 'which one of its kind: an issuer''s own name';
COMMENT ON COLUMN key_vault_data.sealed_records.root_key_id IS 'the root key that seals it, 16 hex digits';
COMMENT ON COLUMN key_vault_data.sealed_records.sealed IS 'XAES-256-GCM, as in secrets; bound to kind and name';
SELECT pg_extension_config_dump('key_vault_data.sealed_records', '');

CREATE FUNCTION key_vault.create_root_key()
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_create_root_key'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.create_root_key FROM PUBLIC;
COMMENT ON FUNCTION key_vault.create_root_key IS 'adds a root key to the keyring file and registers it; the first one becomes active; returns its id';

CREATE FUNCTION key_vault.activate_root_key(id text)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_activate_root_key'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.activate_root_key FROM PUBLIC;
COMMENT ON FUNCTION key_vault.activate_root_key IS 'registers a root key of the keyring and seals with it from now on';

CREATE FUNCTION key_vault.retire_root_key(id text)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_retire_root_key'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.retire_root_key FROM PUBLIC;
COMMENT ON FUNCTION key_vault.retire_root_key IS 'marks a root key that seals nothing any more; the keyring is left alone';

CREATE FUNCTION key_vault.root_key_in_ring(id text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_root_key_in_ring'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.root_key_in_ring FROM PUBLIC;
COMMENT ON FUNCTION key_vault.root_key_in_ring IS 'internal: whether the keyring holds the root key; NULL when it cannot be read';

CREATE VIEW key_vault.root_keys WITH (security_barrier) AS
    SELECT r.id, r.created_at, r.activated_at,
           CASE WHEN r.retired_at IS NOT NULL THEN 'retired'
                WHEN key_vault.root_key_in_ring(r.id) IS NULL THEN 'unknown'
                WHEN NOT key_vault.root_key_in_ring(r.id) THEN 'missing'
                WHEN r.id = (SELECT a.id FROM key_vault_data.root_key_registry a
                             WHERE a.retired_at IS NULL AND a.activated_at IS NOT NULL
                             ORDER BY a.activated_at DESC, a.id DESC LIMIT 1) THEN 'active'
                ELSE 'standby' END AS state,
           (SELECT count(*) FROM key_vault_data.secrets s WHERE s.root_key_id = r.id)
           + (SELECT count(*) FROM key_vault_data.sealed_records s WHERE s.root_key_id = r.id)
           -- a chain key of the audit is one, too
           + (SELECT count(*) FROM key_vault_data.audit_keys k WHERE k.root_key_id = r.id) AS secrets
    FROM key_vault_data.root_key_registry r;
REVOKE ALL ON key_vault.root_keys FROM PUBLIC;
COMMENT ON VIEW key_vault.root_keys IS 'the root keys of this database, their state, and how many secrets and issuers each seals (a scan)';

CREATE PROCEDURE key_vault.discard_secrets(root_key_id text, batch_size int DEFAULT 1000)
AS 'MODULE_PATHNAME', 'kv_sql_discard_secrets'
LANGUAGE C;
REVOKE ALL ON PROCEDURE key_vault.discard_secrets FROM PUBLIC;
COMMENT ON PROCEDURE key_vault.discard_secrets IS 'removes what a root key sealed that the keyring lacks, with older versions of that, committing each batch; for superusers';

CREATE FUNCTION key_vault.escrow_keyring(pgp_public_key text)
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_escrow_keyring'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.escrow_keyring FROM PUBLIC;
COMMENT ON FUNCTION key_vault.escrow_keyring IS 'the keyring as an armored OpenPGP message to the holder of a public key, which gpg --decrypt opens; for superusers';


-- Rotation

CREATE PROCEDURE key_vault.rotate_root_key(batch_size int DEFAULT 1000)
AS 'MODULE_PATHNAME', 'kv_sql_rotate_root_key'
LANGUAGE C;
REVOKE ALL ON PROCEDURE key_vault.rotate_root_key FROM PUBLIC;
COMMENT ON PROCEDURE key_vault.rotate_root_key IS 'seals with the active root key all that others sealed, committing each batch; call it again to go on where it was cut short';

CREATE TABLE key_vault_data.rotation (
    single       boolean PRIMARY KEY DEFAULT true
        CONSTRAINT rotation_single CHECK (single),
    root_key_id  text COLLATE "C" NOT NULL,
    total        bigint NOT NULL,
    done         bigint NOT NULL DEFAULT 0,
    failed       bigint NOT NULL DEFAULT 0,
    pid          int NOT NULL DEFAULT pg_backend_pid(),
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz
);
REVOKE ALL ON TABLE key_vault_data.rotation FROM PUBLIC;
COMMENT ON TABLE key_vault_data.rotation IS 'the latest rotation, in one row; what is left to do is in secrets, not here';

CREATE VIEW key_vault.rotation_progress WITH (security_barrier) AS
    SELECT CASE WHEN r.finished_at IS NOT NULL THEN 'finished'
                -- 1 is the rotation's lock, which is the library's own
                WHEN EXISTS (SELECT FROM pg_locks l
                             WHERE l.locktype = 'object' AND l.granted
                               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                               AND l.classid = 'pg_class'::regclass
                               AND l.objid = 'key_vault_data.secrets'::regclass
                               AND l.objsubid = 1 AND l.pid = r.pid) THEN 'running'
                ELSE 'interrupted' END AS state,
           r.root_key_id, r.total, r.done, r.failed,
           greatest(r.total - r.done - r.failed, 0) AS remaining,
           round(r.done / greatest(extract(epoch FROM coalesce(r.finished_at, r.updated_at) - r.started_at), 0.001)) AS per_second,
           r.pid, r.started_at, r.updated_at, r.finished_at
    FROM key_vault_data.rotation r;
REVOKE ALL ON key_vault.rotation_progress FROM PUBLIC;
COMMENT ON VIEW key_vault.rotation_progress IS 'how far the latest rotation is';
COMMENT ON COLUMN key_vault.rotation_progress.state IS 'running, finished, or interrupted: then call rotate_root_key() again';
COMMENT ON COLUMN key_vault.rotation_progress.total IS 'how many secrets there were to re-seal when it started';
COMMENT ON COLUMN key_vault.rotation_progress.failed IS 'how many did not open, and were left as they are';


-- Identity that tokens prove

CREATE FUNCTION key_vault.authenticate(token text)
RETURNS text
AS 'MODULE_PATHNAME', 'kv_sql_authenticate'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.authenticate FROM PUBLIC;
COMMENT ON FUNCTION key_vault.authenticate IS 'verifies a JWT, makes its user the identity until the transaction ends, and returns that user';

CREATE FUNCTION key_vault.trust_issuer(
    issuer text,
    audience text[],
    jwks jsonb,
    user_claim text DEFAULT 'sub',
    user_prefix text DEFAULT '',
    team_claim text DEFAULT NULL,
    team_admin_claim text DEFAULT NULL,
    audience_claim text DEFAULT 'aud',
    max_age interval DEFAULT '24 hours',
    clock_skew interval DEFAULT '30 seconds')
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_trust_issuer'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.trust_issuer FROM PUBLIC;
COMMENT ON FUNCTION key_vault.trust_issuer IS 'registers an issuer of tokens with its keys, or replaces one; for superusers and the extension''s owner';

CREATE FUNCTION key_vault.distrust_issuer(issuer text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_distrust_issuer'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.distrust_issuer FROM PUBLIC;
COMMENT ON FUNCTION key_vault.distrust_issuer IS 'refuses an issuer''s tokens from now on; false when it was not trusted; for superusers and the extension''s owner';

CREATE FUNCTION key_vault.trusted_issuers()
RETURNS TABLE (
    issuer text,
    audience text[],
    keys jsonb,
    user_claim text,
    user_prefix text,
    team_claim text,
    team_admin_claim text,
    audience_claim text,
    max_age interval,
    clock_skew interval,
    root_key_id text)
AS 'MODULE_PATHNAME', 'kv_sql_trusted_issuers'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 2;
REVOKE ALL ON FUNCTION key_vault.trusted_issuers FROM PUBLIC;
COMMENT ON FUNCTION key_vault.trusted_issuers IS 'internal: what the view issuers shows';

CREATE VIEW key_vault.issuers WITH (security_barrier) AS
    SELECT issuer, audience, keys, user_claim, user_prefix, team_claim, team_admin_claim,
           audience_claim, max_age, clock_skew, root_key_id
    FROM key_vault.trusted_issuers();
REVOKE ALL ON key_vault.issuers FROM PUBLIC;
COMMENT ON VIEW key_vault.issuers IS 'the trusted issuers, for admins; keys by id and algorithm';
COMMENT ON COLUMN key_vault.issuers.keys IS 'kid, alg and kty of each key that can verify; never a key';

-- Rows are added and never changed, so that nobody waits for who has added one.
CREATE TABLE key_vault_data.revocations (
    user_hash      bytea NOT NULL
        CONSTRAINT revocations_user_hash_length CHECK (octet_length(user_hash) = 32),
    issued_before  timestamptz NOT NULL
        CONSTRAINT revocations_issued_before_finite CHECK (isfinite(issued_before)),
    revoked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_hash, issued_before, revoked_at)
);
REVOKE ALL ON TABLE key_vault_data.revocations FROM PUBLIC;
CREATE TRIGGER metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON key_vault_data.revocations
    FOR EACH ROW EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.revocations ENABLE ALWAYS TRIGGER metadata_changed;
COMMENT ON TRIGGER metadata_changed ON key_vault_data.revocations IS 'tells backends to read the table anew';
CREATE TRIGGER metadata_emptied
    AFTER TRUNCATE ON key_vault_data.revocations
    FOR EACH STATEMENT EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.revocations ENABLE ALWAYS TRIGGER metadata_emptied;
COMMENT ON TRIGGER metadata_emptied ON key_vault_data.revocations IS 'tells backends to read the table anew';
COMMENT ON TABLE key_vault_data.revocations IS 'whose tokens are refused, and since when';
COMMENT ON COLUMN key_vault_data.revocations.user_hash IS 'HMAC-SHA-256 of the user id, under a key that is sealed: a user who was forgotten is not named';
COMMENT ON COLUMN key_vault_data.revocations.issued_before IS 'tokens issued before this, and clock_skew more, are refused';
COMMENT ON COLUMN key_vault_data.revocations.revoked_at IS 'when that was said';
SELECT pg_extension_config_dump('key_vault_data.revocations', '');

CREATE FUNCTION key_vault.revoke_tokens(
    user_id text,
    issued_before timestamptz DEFAULT now())
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_revoke_tokens'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.revoke_tokens FROM PUBLIC;
COMMENT ON FUNCTION key_vault.revoke_tokens IS 'refuses from now on the tokens that were issued for a user before a time';


-- Providers: ours under the DBA's own

CREATE TABLE key_vault_data.builtin_providers (
    name          text COLLATE "C" PRIMARY KEY,
    display_name  text NOT NULL,
    env_var       text NOT NULL,
    aliases       text[] NOT NULL DEFAULT '{}',
    key_prefixes  text[] NOT NULL DEFAULT '{}',
    required      boolean NOT NULL DEFAULT false,
    category      text,
    key_url       text,
    attribute_vars jsonb NOT NULL DEFAULT '{}'
);
REVOKE ALL ON TABLE key_vault_data.builtin_providers FROM PUBLIC;
COMMENT ON TABLE key_vault_data.builtin_providers IS 'providers that come with the extension; upgrades change them';
CREATE TRIGGER metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON key_vault_data.builtin_providers
    FOR EACH ROW EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.builtin_providers ENABLE ALWAYS TRIGGER metadata_changed;
COMMENT ON TRIGGER metadata_changed ON key_vault_data.builtin_providers IS 'tells backends to read the table anew';
CREATE TRIGGER metadata_emptied
    AFTER TRUNCATE ON key_vault_data.builtin_providers
    FOR EACH STATEMENT EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.builtin_providers ENABLE ALWAYS TRIGGER metadata_emptied;
COMMENT ON TRIGGER metadata_emptied ON key_vault_data.builtin_providers IS 'tells backends to read the table anew';

CREATE TABLE key_vault_data.own_providers (
    LIKE key_vault_data.builtin_providers INCLUDING DEFAULTS,
    hidden        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (name)
);
REVOKE ALL ON TABLE key_vault_data.own_providers FROM PUBLIC;
COMMENT ON TABLE key_vault_data.own_providers IS 'providers of this database; they win over those that come with the extension';
COMMENT ON COLUMN key_vault_data.own_providers.hidden IS 'true: the provider of this name is not registered';
CREATE TRIGGER metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON key_vault_data.own_providers
    FOR EACH ROW EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.own_providers ENABLE ALWAYS TRIGGER metadata_changed;
COMMENT ON TRIGGER metadata_changed ON key_vault_data.own_providers IS 'tells backends to read the table anew';
CREATE TRIGGER metadata_emptied
    AFTER TRUNCATE ON key_vault_data.own_providers
    FOR EACH STATEMENT EXECUTE FUNCTION key_vault.metadata_changed();
ALTER TABLE key_vault_data.own_providers ENABLE ALWAYS TRIGGER metadata_emptied;
COMMENT ON TRIGGER metadata_emptied ON key_vault_data.own_providers IS 'tells backends to read the table anew';
SELECT pg_extension_config_dump('key_vault_data.own_providers', '');

INSERT INTO key_vault_data.builtin_providers
    (name, display_name, env_var, aliases, key_prefixes, required, category, key_url)
VALUES
    ('gemini', 'Gemini', 'GEMINI_API_KEY', '{google}', '{AIza,AQ.}', true, 'create', 'https://aistudio.google.com/apikey'),
    ('openai', 'OpenAI', 'OPENAI_API_KEY', '{}', '{sk-}', false, 'create', 'https://platform.openai.com/api-keys'),
    ('anthropic', 'Anthropic', 'ANTHROPIC_API_KEY', '{}', '{sk-ant-}', false, 'create', 'https://console.anthropic.com/settings/keys'),
    ('mistral', 'Mistral', 'MISTRAL_API_KEY', '{}', '{}', false, 'create', 'https://console.mistral.ai/api-keys'),
    ('groq', 'Groq', 'GROQ_API_KEY', '{}', '{gsk_}', false, 'create', 'https://console.groq.com/keys'),
    ('openrouter', 'OpenRouter', 'OPENROUTER_API_KEY', '{}', '{sk-or-}', false, 'create', 'https://openrouter.ai/keys'),
    ('cohere', 'Cohere', 'COHERE_API_KEY', '{}', '{}', false, 'create', 'https://dashboard.cohere.com/api-keys'),
    ('xai', 'xAI', 'XAI_API_KEY', '{}', '{xai-}', false, 'create', 'https://console.x.ai'),
    ('deepseek', 'DeepSeek', 'DEEPSEEK_API_KEY', '{}', '{sk-}', false, 'create', 'https://platform.deepseek.com/api_keys'),
    ('huggingface', 'Hugging Face', 'HF_TOKEN', '{hf}', '{hf_}', false, 'create', 'https://huggingface.co/settings/tokens'),
    ('replicate', 'Replicate', 'REPLICATE_API_TOKEN', '{}', '{r8_}', false, 'create', 'https://replicate.com/account/api-tokens'),
    ('tavily', 'Tavily', 'TAVILY_API_KEY', '{}', '{tvly-}', false, 'research', 'https://app.tavily.com'),
    ('serper', 'Serper', 'SERPER_API_KEY', '{}', '{}', false, 'research', 'https://serper.dev/api-key'),
    ('serpapi', 'SerpApi', 'SERPAPI_KEY', '{}', '{}', false, 'research', 'https://serpapi.com/manage-api-key'),
    ('perplexity', 'Perplexity', 'PERPLEXITY_API_KEY', '{}', '{pplx-}', false, 'research', 'https://www.perplexity.ai/settings/api'),
    ('exa', 'Exa', 'EXA_API_KEY', '{}', '{}', true, 'deep search', 'https://dashboard.exa.ai/api-keys'),
    ('firecrawl', 'Firecrawl', 'FIRECRAWL_API_KEY', '{}', '{fc-}', false, 'deep search', 'https://www.firecrawl.dev/app/api-keys'),
    ('stability', 'Stability AI', 'STABILITY_API_KEY', '{}', '{sk-}', false, 'integrations', 'https://platform.stability.ai/account/keys'),
    ('deepl', 'DeepL', 'DEEPL_API_KEY', '{}', '{}', false, 'integrations', 'https://www.deepl.com/your-account/keys'),
    ('elevenlabs', 'ElevenLabs', 'ELEVENLABS_API_KEY', '{}', '{}', false, 'integrations', 'https://elevenlabs.io/app/settings/api-keys'),
    ('github', 'GitHub', 'GITHUB_TOKEN', '{}', '{ghp_,gho_,ghu_,ghs_,ghr_,github_pat_}', false, 'integrations', 'https://github.com/settings/tokens'),
    ('copilotkit', 'CopilotKit', 'COPILOTKIT_API_KEY', '{}', '{ck_}', true, 'interface', 'https://cloud.copilotkit.ai');

-- What else the provider's own SDK takes from variables, under the names of its arguments.
UPDATE key_vault_data.builtin_providers p SET attribute_vars = v.attribute_vars
FROM (VALUES
    ('openai', '{"base_url": "OPENAI_BASE_URL", "organization": "OPENAI_ORG_ID", "project": "OPENAI_PROJECT_ID"}'::jsonb),
    ('anthropic', '{"base_url": "ANTHROPIC_BASE_URL"}'),
    ('groq', '{"base_url": "GROQ_BASE_URL"}'),
    ('huggingface', '{"endpoint": "HF_ENDPOINT"}')) AS v (name, attribute_vars)
WHERE p.name = v.name;

CREATE VIEW key_vault.providers WITH (security_barrier) AS
    SELECT name, display_name, env_var, aliases, key_prefixes, attribute_vars, required, category, key_url
    FROM key_vault_data.own_providers WHERE NOT hidden
    UNION ALL
    SELECT name, display_name, env_var, aliases, key_prefixes, attribute_vars, required, category, key_url
    FROM key_vault_data.builtin_providers b
    WHERE NOT EXISTS (SELECT FROM key_vault_data.own_providers o
                      WHERE o.name = b.name OR (NOT o.hidden AND b.name = ANY (o.aliases)));
REVOKE ALL ON key_vault.providers FROM PUBLIC;
COMMENT ON VIEW key_vault.providers IS 'the registered providers: those of this database, then those that come with the extension';
COMMENT ON COLUMN key_vault.providers.name IS 'what set and get take as provider';
COMMENT ON COLUMN key_vault.providers.env_var IS 'the variable that holds the key in a .env file';
COMMENT ON COLUMN key_vault.providers.aliases IS 'other names that mean this provider';
COMMENT ON COLUMN key_vault.providers.key_prefixes IS 'what keys begin with; one that begins with none of them is stored with a WARNING';
COMMENT ON COLUMN key_vault.providers.attribute_vars IS 'the variables that hold a key''s attributes in a .env file, by attribute';
COMMENT ON COLUMN key_vault.providers.required IS 'whether a user has to have a key for it before the application can be used';
COMMENT ON COLUMN key_vault.providers.key_url IS 'where a user gets a key';


CREATE FUNCTION key_vault.add_provider(
    name text,
    env_var text DEFAULT NULL,
    display_name text DEFAULT NULL,
    aliases text[] DEFAULT '{}',
    key_prefixes text[] DEFAULT '{}',
    required boolean DEFAULT false,
    category text DEFAULT NULL,
    key_url text DEFAULT NULL,
    attribute_vars jsonb DEFAULT '{}')
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_add_provider'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.add_provider FROM PUBLIC;
COMMENT ON FUNCTION key_vault.add_provider IS 'registers a provider of this database, or replaces one; the variable defaults to NAME_API_KEY';

CREATE FUNCTION key_vault.remove_provider(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_remove_provider'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.remove_provider FROM PUBLIC;
COMMENT ON FUNCTION key_vault.remove_provider IS 'removes a provider of this database, or hides one that comes with the extension; refuses while keys are stored for it';


-- Mode

CREATE FUNCTION key_vault.mode(
    OUT mode text,
    OUT reason text)
RETURNS record
AS 'MODULE_PATHNAME', 'kv_sql_mode'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.mode FROM PUBLIC;
COMMENT ON FUNCTION key_vault.mode IS 'development or production, and why';


-- Who pays

CREATE TABLE key_vault_data.usage (
    user_id     text COLLATE "C" NOT NULL
        CONSTRAINT usage_user_id_length CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    provider    text COLLATE "C" NOT NULL
        CONSTRAINT usage_provider_length CHECK (octet_length(provider) BETWEEN 1 AND 63),
    month       date NOT NULL
        CONSTRAINT usage_month_first_day CHECK (month = date_trunc('month', month::timestamp)::date),
    paid_by     text COLLATE "C" NOT NULL
        CONSTRAINT usage_paid_by_known CHECK (paid_by IN ('user', 'team', 'operator')),
    -- what record_usage() takes is less: these are for who writes rows without it
    requests    numeric NOT NULL
        CONSTRAINT usage_requests_range CHECK (requests BETWEEN 0 AND 1e18 AND scale(requests) = 0),
    tokens      numeric NOT NULL
        CONSTRAINT usage_tokens_range CHECK (tokens BETWEEN 0 AND 1e18 AND scale(tokens) = 0),
    cost        numeric NOT NULL
        CONSTRAINT usage_cost_range CHECK (cost BETWEEN 0 AND 1e18 AND scale(cost) <= 30),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    team_id     text COLLATE "C" NOT NULL DEFAULT ''
        CONSTRAINT usage_team_id_length CHECK (octet_length(team_id) <= 250),
    CONSTRAINT usage_team_pays CHECK ((paid_by = 'team') = (team_id <> '')),
    PRIMARY KEY (user_id, provider, month, paid_by, team_id)
);
REVOKE ALL ON TABLE key_vault_data.usage FROM PUBLIC;
ALTER TABLE key_vault_data.usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON key_vault_data.usage FOR ALL TO PUBLIC
    USING (user_id = key_vault.current_user_id());
COMMENT ON POLICY own_rows ON key_vault_data.usage IS 'a transaction reaches the rows of its identity only';
COMMENT ON TABLE key_vault_data.usage IS 'what was used, by user, provider and month (UTC)';
COMMENT ON COLUMN key_vault_data.usage.month IS 'first day of the month, UTC';
COMMENT ON COLUMN key_vault_data.usage.paid_by IS 'user: the user''s own key was used; team: the team''s; operator: the one of the .env file';
COMMENT ON COLUMN key_vault_data.usage.team_id IS 'the team that pays; empty when none does';
COMMENT ON COLUMN key_vault_data.usage.cost IS 'in the currency that the application records';
SELECT pg_extension_config_dump('key_vault_data.usage', '');

CREATE FUNCTION key_vault.record_usage(
    user_id text,
    provider text,
    requests bigint DEFAULT 1,
    tokens bigint DEFAULT 0,
    cost numeric DEFAULT 0)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_record_usage'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.record_usage FROM PUBLIC;
COMMENT ON FUNCTION key_vault.record_usage IS 'adds to what a user used of a provider this month';


-- Whether the current role is an admin: whoever may read the inventory may
-- see the masked rows of all users.
CREATE FUNCTION key_vault.sees_all_users()
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_sees_all_users'
LANGUAGE C STABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION key_vault.sees_all_users FROM PUBLIC;
COMMENT ON FUNCTION key_vault.sees_all_users IS 'internal: whether the current role sees the masked rows of all users';

CREATE VIEW key_vault.monthly_costs WITH (security_barrier) AS
    SELECT user_id, provider, month, paid_by, requests, tokens, cost, nullif(team_id, '') AS team_id
    FROM key_vault_data.usage
    WHERE user_id = key_vault.current_user_id() OR key_vault.sees_all_users();
REVOKE ALL ON key_vault.monthly_costs FROM PUBLIC;
COMMENT ON VIEW key_vault.monthly_costs IS 'what was used and what it cost, by user, provider and month; the identity''s rows, for admins all';


-- Onboarding

CREATE FUNCTION key_vault.onboarding(user_id text)
RETURNS TABLE (
    provider text,
    required boolean,
    configured boolean,
    source text,
    hint text,
    expires_at timestamptz,
    missing text,
    last_used_at timestamptz,
    last_outcome text,
    last_outcome_at timestamptz)
AS 'MODULE_PATHNAME', 'kv_sql_onboarding'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 5;
REVOKE ALL ON FUNCTION key_vault.onboarding FROM PUBLIC;
COMMENT ON FUNCTION key_vault.onboarding IS 'a row for each provider that is required or has a key; missing says what to do, or is NULL';

-- The current keys with the default label.  Labels do not show: the old table
-- has one key for each session and provider.
CREATE VIEW key_vault.api_keys WITH (security_barrier) AS
    SELECT s.user_id AS session_id,
           s.provider,
           '****' || coalesce(s.hint, '') AS key,
           s.first_created_at AS created_at,
           s.created_at AS updated_at
    FROM (SELECT DISTINCT ON (user_id, provider)
                 user_id, provider, hint, created_at, expires_at,
                 min(created_at) OVER (PARTITION BY user_id, provider) AS first_created_at
          FROM key_vault_data.secrets
          WHERE label = 'default'
            AND (user_id = key_vault.current_user_id() OR key_vault.sees_all_users())
          ORDER BY user_id, provider, version DESC) AS s
    WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp();
REVOKE ALL ON key_vault.api_keys FROM PUBLIC;
COMMENT ON VIEW key_vault.api_keys IS 'the current API keys, masked, with the columns of older applications; the identity''s rows, for admins all';
COMMENT ON COLUMN key_vault.api_keys.session_id IS 'onboarding_sessions.id';
COMMENT ON COLUMN key_vault.api_keys.key IS 'stars and the hint, never the key';

CREATE VIEW key_vault.onboarding_sessions WITH (security_barrier) AS
    SELECT k.session_id AS id,
           k.session_id AS user_id,
           min(k.created_at) AS started_at,
           CASE WHEN count(p.name) = r.required
                THEN coalesce(max(k.created_at) FILTER (WHERE p.name IS NOT NULL), min(k.created_at)) END AS completed_at,
           -- the steps are the required providers, then the end
           least(count(p.name) + 1, r.required)::int AS current_step,
           CASE WHEN r.required = 0 THEN 100.0
                ELSE round(100.0 * count(p.name) / r.required, 1) END AS progress
    FROM key_vault.api_keys k
    LEFT JOIN key_vault.providers p ON p.name = k.provider AND p.required,
         (SELECT count(*) AS required FROM key_vault.providers WHERE required) AS r
    GROUP BY k.session_id, r.required;
REVOKE ALL ON key_vault.onboarding_sessions FROM PUBLIC;
COMMENT ON VIEW key_vault.onboarding_sessions IS 'how far each user''s onboarding is, with the columns of older applications; the identity''s rows, for admins all';
COMMENT ON COLUMN key_vault.onboarding_sessions.id IS 'the user id: one session a user';
COMMENT ON COLUMN key_vault.onboarding_sessions.progress IS 'share of the required providers that have a key, 0 to 100';


-- Moving in

CREATE FUNCTION key_vault.import_keys(
    query text,
    passphrase text DEFAULT NULL,
    refuse_odd boolean DEFAULT true,
    OUT imported bigint,
    OUT skipped bigint,
    OUT failed bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'kv_sql_import_keys'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.import_keys FROM PUBLIC;
COMMENT ON FUNCTION key_vault.import_keys IS 'stores what a query returns as user, provider, key and, if there, time of change and attributes; the newest wins; bad rows are WARNINGs';

CREATE FUNCTION key_vault.import_dotenv(user_id text, content text)
RETURNS TABLE (
    provider text,
    variable text,
    version int)
AS 'MODULE_PATHNAME', 'kv_sql_import_dotenv'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 5;
REVOKE ALL ON FUNCTION key_vault.import_dotenv FROM PUBLIC;
COMMENT ON FUNCTION key_vault.import_dotenv IS 'stores the provider keys of a .env file''s text as the user''s own, with the attributes that stand beside them';


-- Privileges

-- The list is in the library: nobody can write to it.
CREATE FUNCTION key_vault.level_rights()
RETURNS TABLE (
    privilege text,
    levels text[])
AS 'MODULE_PATHNAME', 'kv_sql_level_rights'
LANGUAGE C STABLE PARALLEL SAFE ROWS 50;
REVOKE ALL ON FUNCTION key_vault.level_rights FROM PUBLIC;
COMMENT ON FUNCTION key_vault.level_rights IS 'internal: what the levels of key_vault.grant_access() consist of, spelled as in GRANT';

CREATE FUNCTION key_vault.grant_access(role name, level text)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_grant_access'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.grant_access FROM PUBLIC;
COMMENT ON FUNCTION key_vault.grant_access IS 'gives a role the level user, service, admin, monitor or auditor, instead of the one it had';

CREATE FUNCTION key_vault.revoke_access(role name)
RETURNS void
AS 'MODULE_PATHNAME', 'kv_sql_revoke_access'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION key_vault.revoke_access FROM PUBLIC;
COMMENT ON FUNCTION key_vault.revoke_access IS 'takes a role''s level away';

-- What roles hold of the extension's objects, granted to them directly, and which level
-- that makes.  Rights are spelled as in GRANT.  A function, because status() asks as
-- well, and must not wait for what somebody holds a view by.  To compile it would take
-- a hundred times as long as to run it.
CREATE FUNCTION key_vault.granted_levels()
RETURNS TABLE (
    role name,
    level text,
    complete boolean,
    missing text[],
    extra text[],
    note text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
SET jit = off
BEGIN ATOMIC
    WITH objects AS (
        SELECT 'SCHEMA ' || nspname AS object, nspowner AS owner, nspacl AS acl
        FROM pg_namespace WHERE nspname IN ('key_vault', 'key_vault_data')
        UNION ALL
        SELECT 'TABLE ' || n.nspname || '.' || c.relname, c.relowner, c.relacl
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('key_vault', 'key_vault_data') AND c.relkind IN ('r', 'p', 'v')
        UNION ALL
        SELECT 'ROUTINE ' || n.nspname || '.' || p.proname, p.proowner, p.proacl
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'key_vault'
        UNION ALL
        SELECT 'PARAMETER ' || p.name, 10,
               (SELECT paracl FROM pg_parameter_acl WHERE parname = p.name)
        FROM (VALUES ('key_vault.user_id'), ('key_vault.team_id')) AS p (name)
    ), held AS (
        SELECT a.grantee, a.privilege_type || ' ON ' || o.object AS privilege
        FROM objects o, LATERAL aclexplode(o.acl) a
        WHERE a.grantee <> o.owner
        UNION ALL
        SELECT a.grantee, a.privilege_type || ' (' || t.attname || ') ON TABLE ' || n.nspname || '.' || c.relname
        FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
             LATERAL aclexplode(t.attacl) a
        WHERE n.nspname IN ('key_vault', 'key_vault_data') AND a.grantee <> c.relowner
    ), rights AS (
        -- an object that this version of the extension does not have counts for nothing
        SELECT r.privilege, r.levels FROM key_vault.level_rights() r
        WHERE split_part(r.privilege, ' ON ', 2) IN (SELECT object FROM objects)
    ), known AS (
        SELECT DISTINCT unnest(levels) AS level FROM rights
    ), includes AS (
        SELECT k.level, part.level AS part FROM known k, known part
        WHERE NOT EXISTS (SELECT FROM rights r WHERE part.level = ANY (r.levels) AND k.level <> ALL (r.levels))
    ), telling AS (
        -- who holds a right is meant to have the least of its levels, if all its others include that one
        SELECT r.privilege, least.level FROM rights r, LATERAL unnest(r.levels) AS least (level)
        WHERE NOT EXISTS (SELECT FROM unnest(r.levels) AS other (level)
                          WHERE NOT EXISTS (SELECT FROM includes i
                                            WHERE i.level = other.level AND i.part = least.level))
    ), grantees AS (
        -- the parameter alone may be another database's
        SELECT grantee, bool_and(privilege LIKE '% ON PARAMETER %') AS parameter_alone
        FROM held GROUP BY grantee
    ), told AS (
        SELECT DISTINCT grantee, t.level
        FROM held h JOIN telling t USING (privilege) JOIN grantees g USING (grantee)
        WHERE NOT g.parameter_alone
    ), meant AS (
        SELECT grantee, level FROM told t
        WHERE NOT EXISTS (SELECT FROM told higher JOIN includes i ON i.level = higher.level AND i.part = t.level
                          WHERE higher.grantee = t.grantee AND higher.level <> t.level)
    ), compared AS (
        SELECT g.grantee, m.level, g.parameter_alone,
               ARRAY(SELECT r.privilege FROM rights r
                     WHERE m.level = ANY (r.levels)
                       AND NOT EXISTS (SELECT FROM held h
                                       WHERE h.grantee = g.grantee AND h.privilege = r.privilege)
                     ORDER BY 1) AS missing,
               ARRAY(SELECT h.privilege FROM held h
                     WHERE h.grantee = g.grantee
                       AND NOT EXISTS (SELECT FROM rights r JOIN meant o ON o.level = ANY (r.levels)
                                       WHERE o.grantee = g.grantee AND r.privilege = h.privilege)
                     ORDER BY 1) AS extra
        FROM grantees g LEFT JOIN meant m USING (grantee)
    )
    SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS role,
           level,
           level IS NOT NULL AND missing = '{}' AND extra = '{}' AND grantee <> 0 AS complete,
           missing,
           extra,
           CASE WHEN level = 'service' THEN 'may act for any user, in every database of the cluster that has key_vault'
                WHEN grantee = 0 THEN 'every role has it'
                WHEN parameter_alone THEN 'no level in this database, but service perhaps in another: the right is for the whole cluster'
                WHEN level IS NULL THEN 'rights that make up no level'
                END AS note
    FROM compared;
END;
REVOKE ALL ON FUNCTION key_vault.granted_levels FROM PUBLIC;
COMMENT ON FUNCTION key_vault.granted_levels IS 'internal: what the view access shows';

CREATE VIEW key_vault.access WITH (security_barrier) AS
    SELECT role, level, complete, missing, extra, note FROM key_vault.granted_levels();
REVOKE ALL ON key_vault.access FROM PUBLIC;
COMMENT ON VIEW key_vault.access IS 'which role was given which level; missing and extra rights; service holds for the whole cluster';


-- On Citus

-- Of the views that distribute() replaces, what they were.  No dump has it: a database that is
-- restored has the views as they come with the extension.
CREATE TABLE key_vault_data.replaced_views (
    name        text COLLATE "C" PRIMARY KEY,
    definition  text NOT NULL
);
REVOKE ALL ON TABLE key_vault_data.replaced_views FROM PUBLIC;
COMMENT ON TABLE key_vault_data.replaced_views IS 'the views that ask key_vault.rows_in_shards() while Citus has the rows, and their definitions before that';

-- Citus names shards as the caller, who may not name them; so a view of the owner's cannot ask.
CREATE FUNCTION key_vault.rows_in_shards(view text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kv_sql_rows_in_shards'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION key_vault.rows_in_shards FROM PUBLIC;
COMMENT ON FUNCTION key_vault.rows_in_shards IS 'internal: what a view shows while Citus has the rows';

-- What keeps a statement in the shard of one user, whoever has the other rows there: Citus takes an
-- operator that a B-tree has for equality for equality, and asks no further shard.
CREATE FUNCTION key_vault.in_shard_of(user_id text, other_user_id text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'kv_sql_in_shard_of'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION key_vault.in_shard_of FROM PUBLIC;
COMMENT ON FUNCTION key_vault.in_shard_of IS 'internal: true; who asks has the rows of one shard only';
CREATE OPERATOR key_vault.@= (FUNCTION = key_vault.in_shard_of, LEFTARG = text, RIGHTARG = text);
COMMENT ON OPERATOR key_vault.@= (text, text) IS 'internal: keeps a statement in the shard of one user';
CREATE OPERATOR CLASS key_vault.shard_ops FOR TYPE text USING btree AS OPERATOR 3 key_vault.@=;
COMMENT ON OPERATOR CLASS key_vault.shard_ops USING btree IS 'internal: what Citus takes for the equality of users; for no index';
COMMENT ON OPERATOR FAMILY key_vault.shard_ops USING btree IS 'internal: of the operator class shard_ops';

CREATE FUNCTION key_vault.check_cluster()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    worker record;
    ours text := (SELECT extversion FROM pg_extension WHERE extname = 'key_vault');
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE 'only superusers may say where API keys are kept' USING ERRCODE = '42501';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RAISE 'Citus is not installed in this database'
            USING ERRCODE = '55000', HINT = 'Run CREATE EXTENSION citus; and add the workers with citus_add_node().';
    END IF;
    IF (SELECT groupid FROM pg_dist_local_group) <> 0 THEN
        RAISE 'this node is a worker' USING ERRCODE = '55000', HINT = 'Call it on the coordinator.';
    END IF;
    FOR worker IN
        SELECT n.nodename, n.nodeport, n.hasmetadata AND n.metadatasynced AS knows_tables, r.success, r.result
        FROM pg_dist_node n
        LEFT JOIN run_command_on_workers('SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = ''key_vault''), '''')') r
          USING (nodename, nodeport)
        WHERE n.groupid <> 0 AND n.isactive AND n.noderole = 'primary'
        ORDER BY 1, 2
    LOOP
        IF worker.success IS NOT TRUE THEN
            RAISE 'worker %:% cannot be asked', worker.nodename, worker.nodeport
                USING ERRCODE = '55000', DETAIL = coalesce(worker.result, 'It did not answer.');
        ELSIF worker.result = '' THEN
            RAISE 'worker %:% does not have the extension key_vault', worker.nodename, worker.nodeport
                USING ERRCODE = '55000', HINT = 'Install the package there, and run CREATE EXTENSION key_vault; on that node.';
        ELSIF worker.result <> ours THEN
            RAISE 'worker %:% has version % of key_vault, and this node version %', worker.nodename, worker.nodeport, worker.result, ours
                USING ERRCODE = '55000', HINT = 'Run ALTER EXTENSION key_vault UPDATE; on the older one.';
        ELSIF NOT worker.knows_tables THEN
            RAISE 'worker %:% does not know which tables are distributed', worker.nodename, worker.nodeport
                USING ERRCODE = '55000', DETAIL = 'Calls that Citus pushes down to it would find no keys, and lose what they store.',
                      HINT = format('Run SELECT start_metadata_sync_to_node(%L, %s);', worker.nodename, worker.nodeport);
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION key_vault.check_cluster FROM PUBLIC;
COMMENT ON FUNCTION key_vault.check_cluster IS 'internal: refuses, naming what is missing, where distribute() and undistribute() cannot do their work';

-- The columns of a view stay what they are, whoever gives the rows.
CREATE FUNCTION key_vault.replace_view(view name, rows_from text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE (SELECT format('CREATE OR REPLACE VIEW key_vault.%I WITH (%s) AS %s',
                           c.relname, array_to_string(c.reloptions, ', '), coalesce(rows_from, (
                 SELECT format('SELECT %s FROM key_vault.rows_in_shards(%L) AS r (%s)',
                               string_agg(format('r.%I', a.attname), ', ' ORDER BY a.attnum), c.relname,
                               string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                                 (SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
                                                  FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                                                  WHERE l.oid = a.attcollation)), ', ' ORDER BY a.attnum))
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)))
             FROM pg_class c WHERE c.relname = view AND c.relnamespace = 'key_vault'::regnamespace);
END $$;
REVOKE ALL ON FUNCTION key_vault.replace_view FROM PUBLIC;
COMMENT ON FUNCTION key_vault.replace_view IS 'internal: gives a view other rows, of the same columns: those in shards, or a query''s';

-- The number of shards is one that no other table has by default: Citus would put the
-- application's tables into the same group, and cannot, for ours compare by COLLATE "C".
CREATE FUNCTION key_vault.distribute()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    view name;
    rows_there record;
    propagation text := current_setting('citus.enable_ddl_propagation', true);
BEGIN
    PERFORM key_vault.check_cluster();
    -- without it workers would not learn of it
    PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
    LOCK TABLE key_vault_data.secrets, key_vault_data.usage IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'key_vault_data.secrets'::regclass) THEN
        FOR rows_there IN
            SELECT nodename, nodeport FROM run_command_on_workers(
                'SELECT EXISTS (SELECT FROM key_vault_data.secrets) OR EXISTS (SELECT FROM key_vault_data.usage)')
            WHERE result <> 'f'
        LOOP
            RAISE 'worker %:% has API keys or usage of its own', rows_there.nodename, rows_there.nodeport
                USING ERRCODE = '55000', HINT = 'Move them to the coordinator, and forget their users on that node.';
        END LOOP;
        PERFORM create_distributed_table('key_vault_data.secrets', 'user_id', colocate_with => 'none',
                                         shard_count => current_setting('citus.shard_count')::int + 1);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'key_vault_data.usage'::regclass) THEN
        PERFORM create_distributed_table('key_vault_data.usage', 'user_id', colocate_with => 'key_vault_data.secrets');
    END IF;
    -- what was here is in shards by now
    IF pg_relation_size('key_vault_data.secrets') > 0 THEN
        PERFORM truncate_local_data_after_distributing_table('key_vault_data.secrets');
    END IF;
    IF pg_relation_size('key_vault_data.usage') > 0 THEN
        PERFORM truncate_local_data_after_distributing_table('key_vault_data.usage');
    END IF;
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    FOREACH view IN ARRAY '{secrets,inventory,api_keys,monthly_costs,root_keys}'::name[] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM key_vault_data.replaced_views r WHERE r.name = view);
        INSERT INTO key_vault_data.replaced_views
            VALUES (view, pg_get_viewdef(format('key_vault.%I', view)::regclass));
        PERFORM key_vault.replace_view(view, NULL);
    END LOOP;
    PERFORM set_config('citus.enable_ddl_propagation', propagation, true);
END $$;
REVOKE ALL ON FUNCTION key_vault.distribute FROM PUBLIC;
COMMENT ON FUNCTION key_vault.distribute IS 'has Citus distribute the rows of users over the workers, by user; for superusers, on the coordinator; call it again to go on where it was cut short';

CREATE FUNCTION key_vault.undistribute()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved regclass;
    trigger_name name;
    replaced record;
    propagation text := current_setting('citus.enable_ddl_propagation', true);
BEGIN
    PERFORM key_vault.check_cluster();
    -- without it workers would not learn of it
    PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
    LOCK TABLE key_vault_data.secrets, key_vault_data.usage IN ACCESS EXCLUSIVE MODE;
    FOR moved IN
        SELECT logicalrelid FROM pg_dist_partition
        WHERE logicalrelid IN ('key_vault_data.secrets'::regclass, 'key_vault_data.usage'::regclass)
    LOOP
        EXECUTE format('CREATE TEMPORARY TABLE key_vault_moved ON COMMIT DROP AS SELECT * FROM %s', moved);
        -- what Citus does when a distributed table is dropped, but for dropping it
        PERFORM master_remove_distributed_table_metadata_from_workers(c.oid, n.nspname::text, c.relname::text),
                citus_drop_all_shards(c.oid, n.nspname::text, c.relname::text),
                master_remove_partition_metadata(c.oid, n.nspname::text, c.relname::text)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = moved;
        FOR trigger_name IN
            SELECT tgname FROM pg_trigger
            WHERE tgrelid = moved AND tgisinternal AND tgfoid = 'citus_truncate_trigger'::regproc
        LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, moved);
        END LOOP;
        EXECUTE format('INSERT INTO %s SELECT * FROM key_vault_moved', moved);
        DROP TABLE key_vault_moved;
    END LOOP;
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    FOR replaced IN DELETE FROM key_vault_data.replaced_views RETURNING name, definition LOOP
        PERFORM key_vault.replace_view(replaced.name::name, replaced.definition);
    END LOOP;
    PERFORM set_config('citus.enable_ddl_propagation', propagation, true);
END $$;
REVOKE ALL ON FUNCTION key_vault.undistribute FROM PUBLIC;
COMMENT ON FUNCTION key_vault.undistribute IS 'brings the rows that distribute() gave to Citus back to this node; for superusers, on the coordinator';


-- Status

-- With a search_path of its own: a policy's expression is shown by it.  An item does not
-- wait long for a table that somebody has locked.
CREATE FUNCTION key_vault.status()
RETURNS TABLE (
    item text,
    state text,
    detail text,
    remedy text)
AS 'MODULE_PATHNAME', 'kv_sql_status'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
SET jit = off;
REVOKE ALL ON FUNCTION key_vault.status FROM PUBLIC;
COMMENT ON FUNCTION key_vault.status IS 'whether everything is in order; state is ok, warning or error, remedy says what to do';


-- ALTER DEFAULT PRIVILEGES of whoever installs this may have given roles rights on
-- all of the above.  Nobody has any but by key_vault.grant_access().
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT object, grantee
        FROM (SELECT format('SCHEMA %I', nspname), nspowner, nspacl
              FROM pg_namespace WHERE nspname IN ('key_vault', 'key_vault_data')
              UNION ALL
              SELECT format('TABLE %I.%I', nspname, relname), relowner, relacl
              FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
              WHERE nspname IN ('key_vault', 'key_vault_data') AND relkind IN ('r', 'v')
              UNION ALL
              SELECT format('TYPE key_vault.%I', typname), typowner, typacl
              FROM pg_type WHERE oid = 'key_vault.looked_up'::regtype
              UNION ALL
              SELECT format('ROUTINE key_vault.%I', proname), proowner, proacl
              FROM pg_proc WHERE pronamespace = 'key_vault'::regnamespace) AS all_objects (object, owner, acl),
             LATERAL aclexplode(acl)
        WHERE grantee NOT IN (0, owner)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', given.object, pg_get_userbyid(given.grantee));
    END LOOP;
END $$;
