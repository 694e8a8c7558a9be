-- What expires is found by an index that holds nothing else: expiring() and purge() read
-- little of a table in which little expires, and set() does no more than it did for the rest.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
ALTER TABLE key_vault_data.secrets SET (autovacuum_enabled = off);
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- what set() writes: a row that expires is in one index more
CREATE FUNCTION wal_records(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, WAL, FORMAT JSON) ' || statement INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'WAL Records';
END $$;
SELECT key_vault.set('user_a', 'exa', make_key(0)), key_vault.set('user_a', 'exa', make_key(0), 'soon', now() + interval '1 hour');
SELECT wal_records($$ SELECT key_vault.set('user_b', 'exa', make_key(1)) $$) AS first, wal_records($$ SELECT key_vault.set('user_c', 'exa', make_key(2)) $$) AS second \gset never_
SELECT wal_records($$ SELECT key_vault.set('user_d', 'exa', make_key(1), expires_at => now() + interval '1 hour') $$) AS first,
       wal_records($$ SELECT key_vault.set('user_e', 'exa', make_key(2), expires_at => now() + interval '1 hour') $$) AS second \gset expires_
SELECT :never_first AS never_expires, :never_second AS nor_this, :expires_first - :never_first AS more, :expires_second - :never_first AS more;

-- neither takes the planner's way, which would leave a plan
CREATE VIEW plans AS SELECT count(*) FROM pg_backend_memory_contexts WHERE ident LIKE 'INSERT INTO key\_vault\_data.secrets%';
SELECT * FROM plans;
-- also while there is another index of that shape, as there is for a time when one is made anew
CREATE INDEX another ON key_vault_data.secrets (expires_at, user_id, provider, label, version) WHERE expires_at IS NOT NULL;
SELECT key_vault.set('user_a', 'exa', make_key(3)), key_vault.set('user_a', 'exa', make_key(4), 'soon', now() + interval '1 hour');
REINDEX TABLE CONCURRENTLY key_vault_data.secrets;
SELECT key_vault.set('user_a', 'exa', make_key(5)), key_vault.set('user_a', 'exa', make_key(6), 'soon', now() + interval '1 hour');
SELECT * FROM plans;
-- both have what expires, and nothing else
SET enable_seqscan = off;
SET enable_sort = off;
SELECT user_id, label, version FROM key_vault_data.secrets WHERE expires_at IS NOT NULL ORDER BY expires_at, user_id, provider, label, version;
DROP INDEX key_vault_data.secrets_expiry;
SELECT user_id, label, version FROM key_vault_data.secrets WHERE expires_at IS NOT NULL ORDER BY expires_at, user_id, provider, label, version;
RESET enable_seqscan;
RESET enable_sort;
DROP INDEX key_vault_data.another;
-- without one all works as well
SELECT key_vault.set('user_a', 'exa', make_key(7)), key_vault.set('user_a', 'exa', make_key(8), 'soon', now() + interval '1 hour');
SELECT user_id, label, version FROM key_vault.expiring('2 hours');
SELECT * FROM plans;

-- an index of any other shape is for the planner's way, which looks for a conflict first
CREATE FUNCTION scans() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint = pg_stat_get_xact_numscans('key_vault_data.secrets_pkey'::regclass);
BEGIN
    PERFORM key_vault.set('user_f', 'exa', make_key(9));
    PERFORM key_vault.set('user_f', 'exa', make_key(9), 'soon', now() + interval '1 hour');
    RETURN pg_stat_get_xact_numscans('key_vault_data.secrets_pkey'::regclass) - before;
END $$;
CREATE FUNCTION scans_with(index text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    answer bigint;
BEGIN
    EXECUTE 'CREATE INDEX another ON key_vault_data.secrets ' || index;
    answer = scans();
    DROP INDEX key_vault_data.another;
    RETURN answer;
END $$;
CREATE TEMP TABLE shapes (n int, index text);
INSERT INTO shapes VALUES
    (1, '(expires_at, user_id, provider, label, version) WHERE expires_at IS NOT NULL'),
    (2, '(expires_at, user_id, provider, label, version)'),
    (3, '(expires_at, user_id, provider, label, version) WHERE expires_at IS NULL'),
    (4, '(expires_at, user_id, provider, label, version) WHERE hint IS NOT NULL'),
    (5, '(expires_at, user_id, provider, label, version) WHERE expires_at IS NOT NULL AND hint IS NOT NULL'),
    (6, '(expires_at, user_id, provider, label, created_at) WHERE expires_at IS NOT NULL'),
    (7, '(expires_at, user_id, provider, label) WHERE expires_at IS NOT NULL'),
    (8, '(user_id)');
SELECT index, CASE scans_with(index) WHEN scans() THEN 'straight' ELSE 'planner' END AS way FROM shapes ORDER BY n;
SELECT scans() AS straight \gset
CREATE UNIQUE INDEX another ON key_vault_data.secrets (expires_at, user_id, provider, label, version) WHERE expires_at IS NOT NULL;
SELECT scans() > :straight AS planner;
DROP INDEX key_vault_data.another;
SELECT scans() = :straight AS straight;
DROP EXTENSION key_vault;

-- many secrets of which none expires
CREATE EXTENSION key_vault;
ALTER TABLE key_vault_data.secrets SET (autovacuum_enabled = off);
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION fill(first int, last int, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO key_vault_data.secrets (user_id, provider, label, version, root_key_id, sealed, expires_at)
    SELECT 'user_' || n, 'exa', 'default', 1, repeat('0', 16), convert_to(repeat('s', 80), 'UTF8'), at FROM generate_series(first, last) n
$$;
SELECT fill(1, 100000, NULL);
CREATE ROLE regress_kv_monitor;
SELECT key_vault.grant_access('regress_kv_monitor', 'monitor');
CREATE FUNCTION pages(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || statement INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::int + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::int;
END $$;
-- what the session has read of the table and its indexes, once it has told the statistics
CREATE VIEW reads AS
    SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS pages, seq_scan
    FROM pg_statio_all_tables JOIN pg_stat_all_tables USING (relid) WHERE relid = 'key_vault_data.secrets'::regclass;
SELECT pg_relation_size('key_vault_data.secrets') / 8192 > 1500 AS large;
SET ROLE regress_kv_monitor;
SELECT count(*) FROM key_vault.expiring('100 years');
SELECT pages($$ SELECT * FROM key_vault.expiring('100 years') $$) < 10 AS few_pages FROM generate_series(1, 8);
RESET ROLE;
ANALYZE key_vault_data.secrets;
SET ROLE regress_kv_monitor;
SELECT count(*) FROM key_vault.expiring('100 years');
SELECT pages($$ SELECT * FROM key_vault.expiring('100 years') $$) < 10 AS few_pages FROM generate_series(1, 8);
RESET ROLE;
CALL key_vault.purge();
SELECT pg_stat_force_next_flush();
CREATE TEMP TABLE before AS TABLE reads;
CALL key_vault.purge();
CALL key_vault.purge(1);
SELECT pg_stat_force_next_flush();
SELECT r.pages - b.pages < 30 AS few_pages, r.seq_scan - b.seq_scan AS scans_of_the_table FROM reads r, before b;


-- some that expire: the current version counts, not those before it
SET key_vault.keep_versions = 5;
SELECT key_vault.set('user_1', 'exa', make_key(1), expires_at => now() + interval '1 hour'), key_vault.set('user_1', 'exa', make_key(2)),
       key_vault.set('user_2', 'exa', make_key(3), expires_at => now() + interval '3 hours'), key_vault.set('user_2', 'exa', make_key(4), expires_at => now() + interval '2 hours'),
       key_vault.set('user_3', 'exa', make_key(5), expires_at => now() + interval '1 hour'), key_vault.set('user_3', 'exa', make_key(6), expires_at => now() + interval '2 days'),
       key_vault.set('user_4', 'exa', make_key(7)), key_vault.set('user_4', 'exa', make_key(8), expires_at => now() + interval '2 hours');
SET ROLE regress_kv_monitor;
SELECT user_id, version FROM key_vault.expiring('1 day');
SELECT user_id, version FROM key_vault.expiring('3 days');
RESET ROLE;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM key_vault.expiring('3 days');
SELECT seq_scan, idx_tup_fetch < 50 AS few_rows FROM pg_stat_xact_all_tables WHERE relid = 'key_vault_data.secrets'::regclass;
COMMIT;

-- all of them, but not yet, in any order: also with plans that are made for any values
UPDATE key_vault_data.secrets SET expires_at = now() + interval '2 days' + (hashtext(user_id) & 16777215) * interval '1 s';
VACUUM ANALYZE key_vault_data.secrets;
SET plan_cache_mode = force_generic_plan;
SELECT count(*) FROM key_vault.expiring('1 day');
SELECT pages($$ SELECT * FROM key_vault.expiring('1 day') $$) < 10 AS few_pages FROM generate_series(1, 8);
CALL key_vault.purge();
SELECT pg_stat_force_next_flush();
TRUNCATE before;
INSERT INTO before TABLE reads;
CALL key_vault.purge();
CALL key_vault.purge(1);
SELECT pg_stat_force_next_flush();
SELECT r.pages - b.pages < 30 AS few_pages, r.seq_scan - b.seq_scan AS scans_of_the_table FROM reads r, before b;
RESET plan_cache_mode;

-- very many that expired at the same time: each is read about once, however small the batches
SELECT fill(200001, 220000, '2001-01-01');
CREATE VIEW entries AS SELECT idx_tup_read AS n FROM pg_stat_all_indexes WHERE indexrelid = 'key_vault_data.secrets_expiry'::regclass;
SELECT pg_stat_force_next_flush();
CREATE TEMP TABLE entries_before AS TABLE entries;
TRUNCATE before;
INSERT INTO before TABLE reads;
SET client_min_messages = notice;
\set VERBOSITY terse
CALL key_vault.purge(500);
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SELECT pg_stat_force_next_flush();
SELECT e.n - b.n < 25000 AS once FROM entries e, entries_before b;
SELECT r.seq_scan - b.seq_scan AS scans_of_the_table FROM reads r, before b;
SELECT count(*) FROM key_vault_data.secrets WHERE expires_at < now();

DROP VIEW plans, reads, entries;
DROP TABLE before, entries_before, shapes;
DROP EXTENSION key_vault;
DROP FUNCTION make_key, wal_records, scans, scans_with, fill, pages;
DROP ROLE regress_kv_monitor;
