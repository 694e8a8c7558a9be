-- Whatever reads secrets has a straight way to the rows and the planner's: both give the same rows, in the
-- same order, and the same errors.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET jit = off;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_service;
CREATE ROLE regress_kv_half;
SELECT key_vault.grant_access('regress_kv_user', 'user'), key_vault.grant_access('regress_kv_service', 'service'), key_vault.grant_access('regress_kv_half', 'user');
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_half;

SELECT key_vault.set(u, 'exa', u || '/exa/' || repeat('x', 12)), key_vault.set(u, 'serper', u || '/serper/' || repeat('x', 12))
FROM unnest('{user_a,user_b}'::text[]) u;
SELECT key_vault.set('user_a', 'exa', 'user_a/exa/' || repeat('y', 12)), key_vault.set('user_a', 'exa', 'user_a:work:' || repeat('x', 12), 'work', attributes => '{"region": "eu"}');
-- one that does not open, one that has expired, one that is large
SELECT key_vault.set('user_a', 'cohere', repeat('c', 20)), key_vault.set('user_a', 'deepl', repeat('d', 20)), key_vault.set('user_a', 'mistral', repeat('m', 65536));
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE provider = 'cohere';
UPDATE key_vault_data.secrets SET expires_at = '2001-01-01 00:00:00+00' WHERE provider = 'deepl';
-- and a team's, for user_c
SELECT key_vault.set('team:acme', p, 'team/' || p || '/' || repeat('x', 12)) FROM unnest('{exa,cohere,deepl}'::text[]) p;
UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'team:acme' AND provider = 'cohere';
SELECT key_vault.set('user_c', 'deepl', repeat('d', 20));
UPDATE key_vault_data.secrets SET expires_at = '2001-01-01 00:00:00+00' WHERE provider = 'deepl' AND user_id = 'user_c';
CREATE TEMP TABLE secrets_before AS SELECT * FROM key_vault.secrets;

-- which way it is: with no index to use, the planner's way scans the table
CREATE FUNCTION way(call text DEFAULT 'get(''user_a'', ''exa'')') RETURNS text LANGUAGE plpgsql SET enable_indexscan = off SET enable_indexonlyscan = off SET enable_bitmapscan = off AS $$
DECLARE
    scans bigint = pg_stat_get_xact_numscans('key_vault_data.secrets'::regclass);
BEGIN
    DISCARD PLANS;
    EXECUTE 'SELECT key_vault.' || call;
    RETURN CASE pg_stat_get_xact_numscans('key_vault_data.secrets'::regclass) WHEN scans THEN 'straight' ELSE 'planner' END;
END $$;

-- all that reads secrets
CREATE VIEW reading AS SELECT call FROM unnest(ARRAY['get(''user_b'', ''exa'')', 'require(''user_b'', ''exa'')', 'lookup(''user_b'', ''exa'')', 'get_all(''user_b'')', 'list(''user_b'')', 'versions(''user_b'', ''exa'')',
    'source(''user_b'', ''exa'')', 'onboarding(''user_b'')', 'rollback(''user_b'', ''exa'', 1)', 'import_keys(''SELECT ''''user_b'''', ''''exa'''', repeat(''''x'''', 20)'')']) call;
BEGIN;
SELECT call, way(call) FROM reading;
ROLLBACK;

-- what a statement gives: its value, or the whole error
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(left(result, 200), 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, message, detail, hint);
END $$;
CREATE FUNCTION identity_a() RETURNS text LANGUAGE sql STABLE AS $$ SELECT key_vault.get('user_a', 'exa') $$;
CREATE FUNCTION for_nobody() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT key_vault.get('user_a', 'exa') $$;
ALTER FUNCTION for_nobody OWNER TO regress_kv_half;
CREATE FUNCTION in_a_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    u text;
    seen text = '';
BEGIN
    FOR u IN SELECT key_vault.get('user_a', 'exa') FROM generate_series(1, 3) LOOP
        PERFORM key_vault.set('user_a', 'exa', 'in the loop ' || length(seen) || repeat('z', 12));
        seen := seen || u || ' ' || key_vault.get('user_a', 'exa') || ' ';
    END LOOP;
    RETURN seen;
END $$;

CREATE TABLE script (id int GENERATED ALWAYS AS IDENTITY, reads boolean, statement text);
INSERT INTO script (reads, statement) VALUES
    (true, 'SELECT key_vault.get(''user_a'', ''exa'')'), (true, 'SELECT key_vault.get(''user_a'', '' EXA '', ''work'')'),
    (true, 'SELECT key_vault.get(''user_a'', ''exa'', ''Work'')'), (true, 'SELECT key_vault.get(''user_a'', ''google'')'),
    (true, 'SELECT key_vault.get(''user_b'', ''exa'')'), (true, 'SELECT key_vault.get(NULL, ''serper'')'), (true, 'SELECT key_vault.get(''user_c'', ''exa'')'),
    (true, 'SELECT key_vault.get(''user_a'', ''cohere'')'), (true, 'SELECT key_vault.get(''user_a'', ''deepl'')'), (true, 'SELECT md5(key_vault.get(''user_a'', ''mistral''))'),
    (true, 'SELECT key_vault.get(''user_a'', ''exo'')'), (true, 'SELECT key_vault.require(''user_a'', ''exa'')'), (true, 'SELECT key_vault.require(''user_a'', ''groq'')'),
    (true, 'SELECT l::text FROM key_vault.lookup(''user_a'', ''exa'', ''work'') l'), (true, 'SELECT l::text FROM key_vault.lookup(''user_c'', ''exa'') l'), (true, 'SELECT l::text FROM key_vault.lookup(''user_b'', ''exa'') l'), (true, 'SELECT l::text FROM key_vault.lookup(''user_a'', ''deepl'') l'), (true, 'SELECT l::text FROM key_vault.lookup(''user_a'', ''cohere'') l'),
    (true, 'SELECT key_vault.require(''user_a'', ''deepl'')'), (true, 'SELECT key_vault.require(''user_a'', ''cohere'')'), (true, 'SELECT key_vault.source(''user_a'', ''exa'')'),
    (true, 'SELECT key_vault.source(''user_a'', ''deepl'')'), (true, 'SELECT key_vault.get_all(''user_b'')'), (true, 'SELECT count(*) FROM key_vault.list(''user_a'')'),
    (true, 'SELECT string_agg(l::text, '' '') FROM key_vault.list(''user_a'') l'), (true, 'SELECT string_agg(l::text, '' '') FROM key_vault.list(''user_b'') l'), (true, 'SELECT string_agg(l::text, '' '') FROM key_vault.list(NULL) l'),
    (true, 'SELECT string_agg(v::text, '' '') FROM key_vault.versions(''user_a'', ''exa'') v'), (true, 'SELECT string_agg(v::text, '' '') FROM key_vault.versions(''user_a'', ''exa'', ''work'') v'), (true, 'SELECT string_agg(v::text, '' '') FROM key_vault.versions(''user_c'', ''exa'') v'),
    (true, 'SELECT string_agg(o::text, '' '') FROM key_vault.onboarding(''user_a'') o'), (true, 'SELECT string_agg(o::text, '' '') FROM key_vault.onboarding(''user_c'') o'), (true, 'SELECT key_vault.get_all(''user_a'')'), (true, 'SELECT key_vault.get_all(''user_c'')'),
    (true, 'SELECT key_vault.get(''user_c'', '' EXA '')'), (true, 'SELECT key_vault.require(''user_c'', ''exa'')'), (true, 'SELECT key_vault.require(''user_c'', ''groq'')'), (true, 'SELECT key_vault.require(''user_c'', ''deepl'')'),
    (true, 'SELECT key_vault.source(''user_c'', ''exa'')'), (true, 'SELECT key_vault.get(''user_c'', ''cohere'')'), (true, 'SELECT key_vault.get(''team:acme'', ''exa'')'),
    (true, 'SELECT identity_a()'), (true, 'SELECT for_nobody()'),
    (true, 'SELECT string_agg(key_vault.get(u, ''exa''), '' '') FROM unnest(''{user_a,user_b,user_a}''::text[]) u'),
    (true, 'SELECT u FROM unnest(''{user_a,user_b}''::text[]) u WHERE key_vault.get(u, ''serper'') LIKE ''user_b%'''),
    (false, 'SELECT concat_ws('' '', key_vault.set(''user_a'', ''exa'', ''first'' || repeat(''1'', 12)), key_vault.get(''user_a'', ''exa''), key_vault.set(''user_a'', ''exa'', ''second'' || repeat(''2'', 12)), key_vault.get(''user_a'', ''exa''))'),
    (false, 'SELECT concat_ws('' '', key_vault.get(''user_a'', ''exa''), key_vault.set(''user_a'', ''exa'', ''third'' || repeat(''3'', 12)), key_vault.get(''user_a'', ''exa''))'),
    (false, 'SELECT string_agg(concat_ws('' '', key_vault.set(''user_a'', ''exa'', ''row '' || n || repeat(''4'', 12)), key_vault.get(''user_a'', ''exa'')), '' '') FROM generate_series(1, 3) n'),
    (false, 'WITH stored AS (SELECT key_vault.set(''user_a'', ''exa'', ''in a CTE'' || repeat(''5'', 12)) AS v) SELECT concat_ws('' '', v, key_vault.get(''user_a'', ''exa'')) FROM stored'),
    (false, 'SELECT concat_ws('' '', key_vault.set(''user_a'', ''exa'', ''seen'' || repeat(''8'', 12)), (SELECT string_agg(concat_ws('' '', provider, label, version, hint, status), '' '') FROM key_vault.list(''user_a'')), (SELECT string_agg(concat_ws('' '', version, hint, is_current), '' '') FROM key_vault.versions(''user_a'', ''exa'')))'),
    (false, 'SELECT concat_ws('' '', key_vault.set(''user_b'', ''groq'', ''gsk_'' || repeat(''8'', 16)), key_vault.get_all(''user_b''), key_vault.source(''user_b'', ''groq''))'),
    (false, 'SELECT concat_ws('' '', imported, skipped, failed) FROM key_vault.import_keys(''SELECT ''''user_a'''', ''''exa'''', repeat(''''i'''', 20), timestamptz ''''2001-01-01'''''')'), (false, 'SELECT in_a_loop()'), (false, 'SELECT identity_a()'),
    (false, 'SELECT concat_ws('' '', key_vault.rollback(''user_a'', ''exa'', (SELECT min(version) FROM key_vault.versions(''user_a'', ''exa''))), key_vault.get(''user_a'', ''exa''))'),
    (false, 'SELECT concat_ws('' '', key_vault.delete(''user_a'', ''exa''), coalesce(key_vault.get(''user_a'', ''exa''), ''gone''), key_vault.set(''user_a'', ''exa'', ''again'' || repeat(''6'', 12)), key_vault.get(''user_a'', ''exa''))'),
    (false, 'SELECT concat_ws('' '', key_vault.forget(''user_a''), coalesce(key_vault.get(''user_a'', ''serper''), ''gone''))'),
    (false, 'SELECT concat_ws('' '', key_vault.set(''user_a'', ''serper'', ''last'' || repeat(''7'', 12), if_version => 1), key_vault.get(''user_a'', ''serper''))'),
    (true, 'SELECT key_vault.get(''user_a'', ''serper'')'), (true, 'SELECT key_vault.get(''user_b'', ''exa'')');
CREATE TEMP TABLE result (state text, way text, role_name name, identity text, mode text, id int, outcome text, PRIMARY KEY (state, role_name, identity, mode, id));

-- the script, for one role and one identity; what it changed is undone
CREATE PROCEDURE run(state text, mode text, only_reads boolean) LANGUAGE plpgsql AS $$
DECLARE
    who record;
    line record;
    outcomes text[];
BEGIN
    FOR who IN SELECT * FROM (VALUES ('regress_kv_user'::name, 'user_a'), ('regress_kv_service', ''), ('regress_kv_service', 'user_b'), ('regress_kv_half', 'user_a'), (current_user, ''), ('regress_kv_user', 'user_c'), ('regress_kv_service', 'user_c')) w (role_name, identity)
        WHERE mode = 'read committed' OR (role_name, identity) IN (('regress_kv_user', 'user_a'), ('regress_kv_service', ''))
    LOOP
        outcomes := '{}';
        BEGIN
            PERFORM set_config('key_vault.user_id', who.identity, true), set_config('key_vault.team_id', CASE who.identity WHEN 'user_c' THEN 'acme' ELSE '' END, true);
            IF who.role_name <> current_user THEN
                EXECUTE format('SET LOCAL ROLE %I', who.role_name);
            END IF;
            FOR line IN SELECT * FROM script WHERE reads OR NOT only_reads ORDER BY id LOOP
                outcomes[line.id] := outcome(line.statement);
            END LOOP;
            RAISE EXCEPTION USING ERRCODE = 'KVTST';
        EXCEPTION WHEN SQLSTATE 'KVTST' THEN
        END;
        INSERT INTO pg_temp.result SELECT run.state, way(), who.role_name, who.identity, run.mode, i, outcomes[i]
        FROM generate_subscripts(outcomes, 1) i WHERE outcomes[i] IS NOT NULL;
    END LOOP;
END $$;
GRANT SELECT ON script TO PUBLIC;

\set run 'BEGIN; CALL run(:''state'', ''read committed'', false); COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; CALL run(:''state'', ''repeatable read'', false); COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE; CALL run(:''state'', ''serializable'', false); COMMIT; BEGIN READ ONLY; CALL run(:''state'', ''read only'', true); COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; CALL run(:''state'', ''serializable read only'', true); COMMIT;'

-- as shipped
SET client_min_messages = error;
\set state shipped
:run
SELECT DISTINCT way FROM result WHERE state = 'shipped';

-- a trigger, a rule, a policy more, a child, row-level security for the owner too: none changes what is in the table
CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER harmless AFTER INSERT ON key_vault_data.secrets FOR EACH STATEMENT EXECUTE FUNCTION harmless();
\set state trigger
:run
DROP TRIGGER harmless ON key_vault_data.secrets;
DROP FUNCTION harmless;
CREATE RULE harmless AS ON DELETE TO key_vault_data.secrets WHERE false DO ALSO NOTHING;
\set state rule
:run
DROP RULE harmless ON key_vault_data.secrets;
CREATE POLICY harmless ON key_vault_data.secrets USING (false);
\set state permissive
:run
DROP POLICY harmless ON key_vault_data.secrets;
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
\set state restrictive
:run
DROP POLICY harmless ON key_vault_data.secrets;
CREATE TABLE harmless () INHERITS (key_vault_data.secrets);
\set state child
:run
DROP TABLE harmless;
ALTER TABLE key_vault_data.secrets FORCE ROW LEVEL SECURITY;
\set state forced
:run
ALTER TABLE key_vault_data.secrets NO FORCE ROW LEVEL SECURITY;

-- each of them was the planner's way
SELECT DISTINCT state, way FROM result ORDER BY 1, 2;
-- our policy as somebody made it, which hides a version, and fails on some rows
ANALYZE key_vault_data.secrets;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND NOT (provider = 'exa' AND version = 2) AND 1 / CASE label || provider WHEN 'defaultserper' THEN 0 ELSE 1 END > 0);
BEGIN;
CALL run('hides', 'read committed', true);
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
CALL run('hides, planned', 'read committed', true);
COMMIT;
DROP POLICY harmless ON key_vault_data.secrets;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());
SET client_min_messages = warning;
SELECT DISTINCT state, way FROM result WHERE state LIKE 'hides%' ORDER BY 1, 2;
SELECT r.role_name, r.identity, s.statement, r.outcome AS straight, planned.outcome AS planned
FROM result r JOIN script s USING (id) FULL JOIN (SELECT * FROM result WHERE state = 'hides, planned') planned USING (role_name, identity, mode, id)
WHERE r.state = 'hides' AND r.outcome IS DISTINCT FROM planned.outcome;
SELECT count(*) FILTER (WHERE outcome LIKE '22012%') AS failed, count(*) FILTER (WHERE outcome NOT LIKE '22012%') AS others FROM result WHERE state = 'hides' AND role_name = 'regress_kv_user' AND identity = 'user_a';
SELECT id, outcome FROM result JOIN script s USING (id) WHERE state = 'hides' AND role_name = 'regress_kv_user' AND identity = 'user_a' AND s.statement ~ '^SELECT (key_vault.get\(''user_a'', ''exa''\)|count.*list)';
DELETE FROM result WHERE state LIKE 'hides%';
-- each ran the whole script
SELECT state, count(*) FROM result GROUP BY 1 ORDER BY 1;
-- and nothing differs
SELECT r.state, r.role_name, r.identity, r.mode, s.statement, shipped.outcome AS shipped, r.outcome
FROM result r JOIN script s USING (id) FULL JOIN (SELECT * FROM result WHERE state = 'shipped') shipped USING (role_name, identity, mode, id)
WHERE shipped.outcome IS DISTINCT FROM r.outcome ORDER BY r.state, r.role_name, r.identity, r.mode, id LIMIT 20;
-- nor between the transactions that write
SELECT DISTINCT a.role_name, a.identity, a.mode, s.statement, b.outcome AS read_committed, a.outcome
FROM result a JOIN result b USING (state, role_name, identity, id) JOIN script s USING (id) WHERE b.mode = 'read committed' AND a.outcome <> b.outcome AND a.mode IN ('repeatable read', 'serializable') LIMIT 20;
-- what it was, for one of them
SELECT id, left(s.statement, 60) AS statement, left(regexp_replace(regexp_replace(outcome, 'since .*', '(a time)'), '"\w+ \w+ +\d+ [^"]*"', '(a time)', 'g'), 90) AS outcome
FROM result r JOIN script s USING (id) WHERE state = 'shipped' AND role_name = 'regress_kv_service' AND identity = '' AND mode = 'read committed' ORDER BY id;
SELECT id, left(s.statement, 60) AS statement, left(regexp_replace(regexp_replace(outcome, 'since .*', '(a time)'), '"\w+ \w+ +\d+ [^"]*"', '(a time)', 'g'), 140) AS outcome
FROM result r JOIN script s USING (id) WHERE state = 'shipped' AND role_name = 'regress_kv_user' AND identity = 'user_c' AND s.statement ~ 'user_c|team:' ORDER BY id;
SELECT count(*) AS changed FROM (SELECT * FROM key_vault.secrets EXCEPT SELECT * FROM secrets_before) d;

-- a policy sees what was changed before it in the same statement
CREATE TABLE flag AS SELECT false AS up;
CREATE FUNCTION raise_flag() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE flag SET up = true; RETURN true; END $$;
CREATE FUNCTION flag_is_up() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT up FROM flag $$;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND flag_is_up());
\set reading 'BEGIN; SET LOCAL ROLE regress_kv_service; SELECT key_vault.get(''user_a'', ''exa'') IS NULL AS hidden; SELECT raise_flag(), key_vault.get(''user_a'', ''exa''), (SELECT count(*) FROM key_vault.list(''user_b'')) AS listed; ROLLBACK;'
:reading
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
:reading
DROP POLICY harmless ON key_vault_data.secrets;
ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id());
DROP FUNCTION raise_flag, flag_is_up;
DROP TABLE flag;

-- the rights to columns that each call needs: the same on both ways, and no column less
CREATE ROLE regress_kv_columns;
SELECT key_vault.grant_access('regress_kv_columns', 'user');
REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_columns;
CREATE FUNCTION columns_of(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_columns name[] = (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'key_vault_data.secrets'::regclass AND attnum > 0 AND NOT attisdropped);
    needed name[] = '{}';
    without name;
    result text;
BEGIN
    FOREACH without IN ARRAY all_columns LOOP
        BEGIN
            EXECUTE format('GRANT SELECT (%s) ON key_vault_data.secrets TO regress_kv_columns', array_to_string(array_remove(all_columns, without), ', '));
            PERFORM set_config('key_vault.user_id', 'user_b', true);
            SET LOCAL ROLE regress_kv_columns;
            result := outcome('SELECT key_vault.' || call);
            RAISE EXCEPTION USING ERRCODE = 'KVTST';
        EXCEPTION WHEN SQLSTATE 'KVTST' THEN
            IF result LIKE '42501 | permission denied for table secrets%' THEN
                needed := needed || without;
            END IF;
        END;
    END LOOP;
    RETURN array_to_string(needed, ' ');
END $$;
CREATE VIEW needed AS SELECT split_part(call, '(', 1) AS call, columns_of(call) AS columns FROM reading WHERE call !~ '^import_keys';
CREATE TEMP TABLE needed_straight AS SELECT * FROM needed;
SELECT * FROM needed_straight;
CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true);
SELECT * FROM needed EXCEPT SELECT * FROM needed_straight;
DROP POLICY harmless ON key_vault_data.secrets;
DROP VIEW needed;
DROP FUNCTION columns_of;
SELECT key_vault.revoke_access('regress_kv_columns');
DROP ROLE regress_kv_columns;

-- a rule on what set() does makes set() say so, and get() goes on
BEGIN;
CREATE RULE harmless AS ON UPDATE TO key_vault_data.secrets WHERE false DO ALSO NOTHING;
SELECT key_vault.get('user_a', 'exa');
SELECT key_vault.set('user_a', 'exa', repeat('n', 20));
ROLLBACK;

-- back on the straight way, and there through all that a DBA does to a table
ANALYZE key_vault_data.secrets;
SET key_vault.user_id = 'user_a';
SELECT way(), key_vault.get('user_a', 'exa');
REINDEX TABLE CONCURRENTLY key_vault_data.secrets;
SELECT way(), key_vault.get('user_a', 'exa');
CLUSTER key_vault_data.secrets USING secrets_pkey;
SELECT way(), key_vault.get('user_a', 'exa');
VACUUM FULL key_vault_data.secrets;
SELECT way(), key_vault.get('user_a', 'exa');
CREATE INDEX another ON key_vault_data.secrets (provider);
SELECT way(), key_vault.get('user_a', 'exa');
ALTER TABLE key_vault_data.secrets SET (fillfactor = 90);
ALTER TABLE key_vault_data.secrets ADD COLUMN note text DEFAULT 'n';
SELECT way(), key_vault.get('user_a', 'exa');
SELECT key_vault.set('user_a', 'groq', 'gsk_' || repeat('g', 20)), way(), key_vault.get('user_a', 'groq') IS NOT NULL AS stored;
ALTER TABLE key_vault_data.secrets DROP COLUMN note;
SELECT way(), key_vault.get('user_a', 'exa');
-- a policy counts the columns that the table has lost
ALTER TABLE key_vault_data.secrets ADD COLUMN note text DEFAULT 'n';
CREATE POLICY noted ON key_vault_data.secrets AS RESTRICTIVE USING (note = 'n' AND secrets.*::text LIKE '%,n)');
SET ROLE regress_kv_user;
SELECT key_vault.get('user_a', 'exa'), (SELECT count(*) FROM key_vault.list('user_a')) AS listed, (SELECT string_agg(version::text, ' ') FROM key_vault.versions('user_a', 'exa')) AS versions;
RESET ROLE;
SELECT way();
UPDATE key_vault_data.secrets SET note = 'm' WHERE provider = 'exa' AND version > 1;
SET ROLE regress_kv_user;
SELECT key_vault.get('user_a', 'exa'), (SELECT count(*) FROM key_vault.list('user_a')) AS listed, (SELECT string_agg(version::text, ' ') FROM key_vault.versions('user_a', 'exa')) AS versions;
RESET ROLE;
DROP POLICY noted ON key_vault_data.secrets;
ALTER TABLE key_vault_data.secrets DROP COLUMN note;
BEGIN;
TRUNCATE key_vault_data.secrets;
SELECT way(), key_vault.get('user_a', 'exa') IS NULL AS none;
ROLLBACK;
SELECT way(), key_vault.get('user_a', 'exa');
-- a primary key that is another index
BEGIN;
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey;
SELECT way(), key_vault.get('user_a', 'exa');
ALTER TABLE key_vault_data.secrets ADD CONSTRAINT secrets_pkey PRIMARY KEY (version, label, provider, user_id);
SELECT way(), key_vault.get('user_a', 'exa');
COMMIT;
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey, ADD CONSTRAINT secrets_pkey PRIMARY KEY (user_id, provider, label, version) DEFERRABLE;
SELECT way(), key_vault.get('user_a', 'exa');
ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey, ADD CONSTRAINT secrets_pkey PRIMARY KEY (user_id, provider, label, version);
SELECT way(), key_vault.get('user_a', 'exa');
-- with row-level security off nothing changes
SET row_security = off;
SELECT way(), key_vault.get('user_a', 'exa');
RESET row_security;
SELECT way();

DROP PROCEDURE run;
DROP VIEW reading;
DROP FUNCTION way, outcome, identity_a, for_nobody, in_a_loop;
DROP TABLE script;
SELECT key_vault.revoke_access('regress_kv_service');
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_service, regress_kv_half;
