-- report.sql: the table and the aims, as Markdown, from what compare.sh measured.
--
-- Variables: results (a file), version (of the server), rounds, one_size (the number of
-- secrets for what is measured at one), chart (a file for what chart.py draws).

\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset tuples_only on

CREATE TEMPORARY TABLE measured (secrets int, metric text, run text, way text, round text, value float8);
COPY measured FROM :'results';

-- A loop's own cost is no part of the calls in it
CREATE TEMPORARY VIEW net AS
    SELECT m.secrets, m.metric, m.run, m.way, m.round, m.value - coalesce(l.value, 0) AS value
    FROM measured m
    LEFT JOIN measured l ON m.metric = 'loop'
        AND (l.secrets, l.metric, l.run, l.round, l.way) = (m.secrets, m.metric, m.run, m.round, 'nothing')
    WHERE (m.metric, m.way) <> ('loop', 'nothing');

CREATE TEMPORARY TABLE medians AS
    SELECT n.secrets, n.metric, n.run, n.way,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY n.value) AS value,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY n.value / nullif(p.value, 0)) AS ratio
    FROM net n
    LEFT JOIN net p ON (p.secrets, p.metric, p.run, p.round) = (n.secrets, n.metric, n.run, n.round)
        AND p.way = CASE WHEN n.way IN ('set', 'upsert') THEN 'upsert'
                         WHEN n.metric = 'rotation' THEN 'update'
                         WHEN n.run IN ('token', 'uses') THEN 'get' ELSE 'plaintext' END
    GROUP BY n.secrets, n.metric, n.run, n.way;

CREATE TEMPORARY TABLE shown (line int GENERATED ALWAYS AS IDENTITY, metric text, run text, way text, title text, unit text);
INSERT INTO shown (metric, run, way, title, unit) VALUES
    ('loop', 'straight', 'plaintext', '**CPU of a lookup inside the server**: plaintext', '%s us'),
    ('loop', 'straight', 'get', '`get`, the straight way', '%s us'),
    ('loop', 'straight', 'get_query', '`get`, the straight way, in a query of its own', '%s us'),
    ('loop', 'straight', 'lookup', '`lookup`, in a query of its own', '%s us'),
    ('loop', 'planned', 'get', '`get`, the planner''s way', '%s us'),
    ('loop', 'straight', 'pgp_s2k0', '`pgp_sym_decrypt`, s2k-mode=0', '%s us'),
    ('loop', 'straight', 'pgp', '`pgp_sym_decrypt`, defaults', '%s us'),
    ('many', '-', 'plaintext', '**CPU of a lookup, many users in one SELECT**: plaintext', '%s us'),
    ('many', '-', 'get', '`get`', '%s us'),
    ('pgbench', 'straight', 'plaintext', '**Lookups a second through pgbench**: plaintext', '%s'),
    ('pgbench', 'straight', 'get', '`get`, the straight way', '%s'),
    ('pgbench', 'straight', 'lookup', '`lookup`, all columns', '%s'),
    ('pgbench', 'planned', 'get', '`get`, the planner''s way', '%s'),
    ('pgbench', 'others', 'pgp_s2k0', '`pgp_sym_decrypt`, s2k-mode=0', '%s'),
    ('pgbench', 'others', 'pgp', '`pgp_sym_decrypt`, defaults', '%s'),
    ('pgbench', 'others', 'nothing', 'no lookup at all', '%s'),
    ('pgbench', 'token', 'get', '**The same without an identity in the session**: `get` of a user whom a role of level `service` names', '%s'),
    ('pgbench', 'token', 'get_by_token', '`get` of the token''s user, with `authenticate`', '%s'),
    ('pgbench', 'uses', 'get', '**`get` through pgbench, and its uses**: not counted', '%s'),
    ('pgbench', 'uses', 'get_counted', 'counted, with `track_last_use`', '%s'),
    ('authenticate', '-', 'token', '**CPU of a remembered token**', '%s us'),
    ('logged', '-', 'plaintext', '**The same, each logged** as csvlog in memory: plaintext, on a server without key_vault', '%s'),
    ('logged', '-', 'get', '`get`', '%s'),
    ('connect', '-', 'plaintext', '**A session of one lookup** (`pgbench -C`): plaintext', '%s us'),
    ('connect', '-', 'get', '`get`', '%s us'),
    ('first', '-', 'plaintext', '**First lookup of a session**, seen by the client: plaintext', '%s us'),
    ('first', '-', 'get', '`get`', '%s us'),
    ('loop', 'straight', 'upsert', '**CPU of a write inside the server**: plaintext, `INSERT ... ON CONFLICT`', '%s us'),
    ('loop', 'straight', 'set', '`set`, which trims the oldest version', '%s us'),
    ('pgbench', 'straight', 'upsert', '**Writes a second through pgbench**, fsync on: plaintext, `INSERT ... ON CONFLICT`', '%s'),
    ('pgbench', 'straight', 'set', '`set`, which trims the oldest version', '%s'),
    ('rotation', '-', 'update', '**Rows a second in batches**: plain `UPDATE`', '%s'),
    ('rotation', '-', 'rotate', '`rotate_root_key`', '%s'),
    ('contexts', '-', 'plaintext', '**Memory that a first lookup adds to a backend**, in use in its contexts: plaintext', '%s kB'),
    ('contexts', '-', 'get', '`get`', '%s kB'),
    ('private', '-', 'plaintext', '**The same, all its private pages**: plaintext', '%s kB'),
    ('private', '-', 'get', '`get`', '%s kB'),
    ('storage', '-', 'plaintext', '**Storage of a secret**, index included: plaintext', '%s bytes'),
    ('storage', '-', 'get', 'key_vault', '%s bytes'),
    ('storage', '-', 'pgp', '`pgp_sym_encrypt`', '%s bytes');

CREATE FUNCTION pg_temp.figure(value float8, unit text) RETURNS text
LANGUAGE sql AS $$
    SELECT format(unit, CASE
        WHEN unit LIKE '%us' AND value < 1000 THEN to_char(value, 'FM9990.0')
        WHEN unit LIKE '%kB' THEN round(value / 1024)::text
        ELSE to_char(value, 'FM9,999,990') END)
$$;

\echo '## key_vault beside plaintext and pgcrypto'
\echo
SELECT format('%s, key_vault preloaded, server and client on one CPU, all in cache, median of %s rounds. Every table has the same'
    ' policy; `×` is the ratio to plaintext, whose lookup is one probe of the primary key.', :'version', :rounds);
\echo

CREATE TEMPORARY TABLE sizes AS SELECT DISTINCT secrets FROM medians;
SELECT '| |' || string_agg(format(' %s secrets | × |', to_char(secrets, 'FM9,999,999')), '' ORDER BY secrets)
       || E'\n|---|' || string_agg('---:|---:|', '' ORDER BY secrets)
FROM sizes;
SELECT format('| %s |', title)
       || string_agg(CASE WHEN value IS NULL THEN ' | |' ELSE format(' %s | %s |', pg_temp.figure(value, unit), to_char(ratio, 'FM9990.00')) END, '' ORDER BY secrets)
FROM shown CROSS JOIN sizes
LEFT JOIN medians USING (secrets, metric, run, way)
GROUP BY line, title
HAVING count(value) > 0
ORDER BY line;
\echo

-- Each aim at the number of secrets where it stands worst.  chart is how chart.py names it.
CREATE TEMPORARY TABLE aims (line int, aim text, at_most boolean, bound float8, unit text, value float8, chart text);
INSERT INTO aims
SELECT line, aim, at_most, bound, '', CASE WHEN at_most THEN max(ratio) ELSE min(ratio) END, chart
FROM (VALUES
    (1, '`get`, CPU inside the server, to plaintext', true, 1.3, 'loop', 'straight', 'get', 'get, CPU in the server'),
    (2, '`get`, CPU for many users in one SELECT, to plaintext', true, 1.7, 'many', '-', 'get', 'get, many users in one SELECT'),
    (3, '`get` through pgbench, to plaintext', false, 0.97, 'pgbench', 'straight', 'get', 'get, through pgbench'),
    (4, '`get` through pgbench, each logged, to plaintext without key_vault', false, 0.95, 'logged', '-', 'get', 'get, each call logged'),
    (5, 'connect and `get`, to connect and plaintext', true, 1.05, 'connect', '-', 'get', 'connect and get'),
    (6, 'a session''s first `get`, to its first plaintext', true, 1.1, 'first', '-', 'get', 'first get of a session'),
    (9, '`set`, CPU inside the server, to the plain upsert', true, 1.4, 'loop', 'straight', 'set', 'set, CPU in the server'),
    (10, '`set` through pgbench, fsync on, to the plain upsert', false, 0.95, 'pgbench', 'straight', 'set', 'set, through pgbench'),
    (11, 'rotation, to a plain `UPDATE` in batches', false, 0.8, 'rotation', '-', 'rotate', 'rotation'),
    (13, 'storage of a secret, index included, to plaintext', true, 1.8, 'storage', '-', 'get', 'storage')
) AS a (line, aim, at_most, bound, metric, run, way, chart)
JOIN medians USING (metric, run, way)
GROUP BY line, aim, at_most, bound, chart
UNION ALL
SELECT 7, '`get` through pgbench, to `pgp_sym_decrypt` with defaults', false, 4, '', min(g.value / p.value), NULL
FROM medians g JOIN medians p USING (secrets, metric)
WHERE metric = 'pgbench' AND (g.run, g.way) = ('straight', 'get') AND p.way = 'pgp'
UNION ALL
SELECT 8, format('`get`, CPU at %s secrets, to that at %s', to_char(max(secrets), 'FM9,999,999'), to_char(min(secrets), 'FM9,999,999')),
       true, 1.5, '',
       (array_agg(value ORDER BY secrets DESC))[1] / (array_agg(value ORDER BY secrets))[1], NULL
FROM medians WHERE (metric, run, way) = ('loop', 'straight', 'get')
UNION ALL
SELECT 14, '`lookup` through pgbench, a transaction''s time to that of `get`', true, 1.15, '', max(g.value / l.value), NULL
FROM medians g JOIN medians l USING (secrets, metric, run)
WHERE (metric, run) = ('pgbench', 'straight') AND g.way = 'get' AND l.way = 'lookup'
UNION ALL
SELECT 15, '`get` with `authenticate` through pgbench, to `get` at level service', false, 0.9, '', min(ratio), NULL
FROM medians WHERE (metric, run, way) = ('pgbench', 'token', 'get_by_token')
UNION ALL
SELECT 17, '`get` with `track_last_use` through pgbench, to `get` without', false, 0.97, '', min(ratio), NULL
FROM medians WHERE (metric, run, way) = ('pgbench', 'uses', 'get_counted')
UNION ALL
SELECT 16, '`authenticate`, CPU of a remembered token', true, 3, ' us', max(value), NULL
FROM medians WHERE metric = 'authenticate'
UNION ALL
SELECT 12, 'memory that a first `get` adds to a backend, all its private pages', true, 300, ' kB', max(value) / 1024, NULL
FROM medians WHERE (metric, way) = ('private', 'get');

\echo '| aim | at most / at least | stands at | |'
\echo '|---|---:|---:|---|'
SELECT format('| %s | %s %s%s | %s%s | %s |', aim,
              CASE WHEN at_most THEN 'at most' ELSE 'at least' END, bound, unit,
              to_char(value, CASE unit WHEN '' THEN 'FM9990.00' WHEN ' us' THEN 'FM9990.0' ELSE 'FM9990' END), unit,
              CASE WHEN (value <= bound) = at_most OR value = bound THEN 'met' ELSE 'not met' END)
FROM aims ORDER BY line;

\pset fieldsep '\t'
\o :chart
SELECT format('PostgreSQL %s, %s secrets, median of %s rounds, each ratio where it stands worst', split_part(current_setting('server_version'), ' ', 1),
              concat_ws(' to ', to_char(min(secrets), 'FM9,999,999'), to_char(nullif(max(secrets), min(secrets)), 'FM9,999,999')), :rounds)
FROM sizes;
SELECT chart, CASE WHEN at_most THEN 'most' ELSE 'least' END, bound, round(value::numeric, 2)
FROM aims WHERE chart IS NOT NULL ORDER BY line;
\o
