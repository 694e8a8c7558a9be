-- loops.sql: functions that make many calls inside the server, and say how much
-- CPU time one takes.
--
-- Each loop makes up a user id, binds it, and acts for that user; what that
-- alone costs is the loop "nothing", which the report subtracts.

\set ON_ERROR_STOP on
\set QUIET on

-- The time that this backend has had the CPU, in microseconds.  The kernel adds to it when
-- it takes the CPU away, or else with each tick, of which some are as long as a twentieth
-- of what is measured here: hence the sleep.
CREATE FUNCTION bench.cpu_us() RETURNS float8
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN pg_sleep(0.0001) IS NULL THEN NULL
                  ELSE split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1000 END $$;

CREATE FUNCTION bench.make_loop(name text, call text) RETURNS void
LANGUAGE plpgsql AS $make$
BEGIN
    EXECUTE format($loop$
        CREATE FUNCTION bench.loop_%s(calls int, users int) RETURNS float8
        LANGUAGE plpgsql AS $body$
        DECLARE
            begun float8 := bench.cpu_us();
            u text;
            k text;
            fresh CONSTANT text := 'AIzaSyABCDEFGHIJKLMNOPQRSTUVWXYZ0123456';
        BEGIN
            FOR i IN 1..calls LOOP
                u := (1000000001 + i * 7919::bigint %% users)::text;
                PERFORM set_config('key_vault.user_id', u, true);
                %s;
            END LOOP;
            RETURN (bench.cpu_us() - begun) / calls;
        END $body$ $loop$, name, call);
END $make$;

SELECT bench.make_loop(name, call) IS NULL FROM (VALUES
    ('nothing', 'NULL'),
    ('plaintext', $$SELECT api_key INTO k FROM bench.plaintext
        WHERE user_id = u AND provider = 'gemini' AND label = 'default'$$),
    ('get', $$k := key_vault.get(u, 'gemini')$$),
    ('get_query', $$SELECT key_vault.get(u, 'gemini') INTO k$$),
    ('lookup', $$SELECT l.api_key INTO k FROM key_vault.lookup(u, 'gemini') l$$),
    ('pgp', $$SELECT pgp_sym_decrypt(sealed, 'passphrase') INTO k FROM bench.pgp
        WHERE user_id = u AND provider = 'gemini' AND label = 'default'$$),
    ('pgp_s2k0', $$SELECT pgp_sym_decrypt(sealed, 'passphrase') INTO k FROM bench.pgp_s2k0
        WHERE user_id = u AND provider = 'gemini' AND label = 'default'$$),
    ('upsert', $$INSERT INTO bench.plaintext (user_id, provider, label, api_key)
        VALUES (u, 'gemini', 'default', fresh)
        ON CONFLICT (user_id, provider, label) DO UPDATE
        SET api_key = excluded.api_key, version = plaintext.version + 1, created_at = clock_timestamp()$$),
    ('set', $$PERFORM key_vault.set(u, 'gemini', fresh)$$)) AS loops (name, call) \g /dev/null

-- What a token costs that the session remembers: a transaction with it, without what one
-- costs that does nothing.
CREATE PROCEDURE bench.authenticate(token text, calls int, INOUT us float8)
LANGUAGE plpgsql AS $$
DECLARE
    begun float8 := bench.cpu_us();
BEGIN
    FOR i IN 1..calls LOOP
        PERFORM length(token);
        COMMIT;
    END LOOP;
    us := bench.cpu_us() - begun;
    begun := bench.cpu_us();
    FOR i IN 1..calls LOOP
        PERFORM key_vault.authenticate(token);
        COMMIT;
    END LOOP;
    us := (bench.cpu_us() - begun - us) / calls;
END $$;

-- One SELECT that looks up a key for each of many users: what a lookup costs, without
-- what the SELECT costs that has the same rows and looks up nothing.  A policy admits
-- one user's rows, so the identity of the plaintext's changes from row to row, too.
CREATE FUNCTION bench.make_many(name text, rows text, lookups text) RETURNS void
LANGUAGE plpgsql AS $make$
BEGIN
    EXECUTE format($many$
        CREATE FUNCTION bench.many_%s() RETURNS float8
        LANGUAGE plpgsql SET enable_memoize = off SET max_parallel_workers_per_gather = 0 AS $body$
        DECLARE
            begun float8 := bench.cpu_us();
            looked_up float8;
            n int;
        BEGIN
            EXECUTE %L INTO n;
            looked_up := bench.cpu_us() - begun;
            begun := bench.cpu_us();
            EXECUTE %L INTO n;
            looked_up := bench.cpu_us() - begun - looked_up;
            IF n <> 50000 THEN
                RAISE 'only %% of 50000 keys', n;
            END IF;
            RETURN looked_up / n;
        END $body$ $many$, name, rows, lookups);
END $make$;

SELECT bench.make_many('get',
        'SELECT count(id) FROM bench.users',
        $$SELECT count(key_vault.get(id, 'gemini')) FROM bench.users$$),
    bench.make_many('plaintext',
        $$SELECT count(k.api_key) FROM bench.users u,
            LATERAL (SELECT set_config('key_vault.user_id', u.id, true) AS id OFFSET 0) i,
            LATERAL (SELECT i.id AS api_key OFFSET 0) k$$,
        $$SELECT count(k.api_key) FROM bench.users u,
            LATERAL (SELECT set_config('key_vault.user_id', u.id, true) AS id OFFSET 0) i,
            LATERAL (SELECT p.api_key FROM bench.plaintext p
                WHERE p.user_id = i.id AND p.provider = 'gemini' AND p.label = 'default' OFFSET 0) k$$) \g /dev/null
