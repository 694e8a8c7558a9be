-- What is not a secret: each gets its SQLSTATE, tells what is wrong, and leaves nothing behind.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE FUNCTION make_key(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'exa-key-' || lpad(n::text, 12, '0') $$;

-- messages, as people read them
SELECT key_vault.set(NULL, 'exa', make_key(1));
SELECT key_vault.set('', 'exa', make_key(1));
SELECT key_vault.set(repeat('u', 256), 'exa', make_key(1));
SELECT key_vault.set('user_a', NULL, make_key(1));
SELECT key_vault.set('user_a', '', make_key(1));
SELECT key_vault.set('user_a', E' \t', make_key(1));
SELECT key_vault.set('user_a', 'exo', make_key(1));
SELECT key_vault.set('user_a', 'exa', NULL);
SELECT key_vault.set('user_a', 'exa', '');
SELECT key_vault.set('user_a', 'exa', repeat('k', 65537));
SELECT key_vault.set('user_a', 'exa', make_key(1), NULL);
SELECT key_vault.set('user_a', 'exa', make_key(1), '');
SELECT key_vault.set('user_a', 'exa', make_key(1), repeat('l', 64));
SELECT key_vault.set('user_a', 'exa', make_key(1), E'a\nb');
SELECT key_vault.set('user_a', 'exa', make_key(1), expires_at => '2001-01-01 00:00:00+00');
SELECT key_vault.set('user_a', 'exa', make_key(1), if_version => 7);
SELECT key_vault.set('user_a', 'exa', make_key(1), if_version => -1);

-- SQLSTATEs, for each function that takes the argument
\set VERBOSITY sqlstate
CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE call (name text, template text);
INSERT INTO call VALUES
    ('set', 'SELECT key_vault.set(%1$s, %2$s, make_key(1), %3$s)'),
    ('get', 'SELECT key_vault.get(%1$s, %2$s, %3$s)'),
    ('require', 'SELECT key_vault.require(%1$s, %2$s, %3$s)'),
    ('source', 'SELECT key_vault.source(%1$s, %2$s, %3$s)'),
    ('delete', 'SELECT key_vault.delete(%1$s, %2$s, %3$s)'),
    ('versions', 'SELECT * FROM key_vault.versions(%1$s, %2$s, %3$s)'),
    ('rollback', 'SELECT key_vault.rollback(%1$s, %2$s, 1, %3$s)');
CREATE TEMP TABLE bad (id int GENERATED ALWAYS AS IDENTITY, what text, user_id text DEFAULT '''user_a''', provider text DEFAULT '''exa''', label text DEFAULT '''default''');
INSERT INTO bad (what, user_id) VALUES ('user NULL', 'NULL'), ('user empty', ''''''), ('user of 256 bytes', 'repeat(''u'', 256)'),
    ('user of 128 characters of two bytes', 'repeat(chr(233), 128)'), ('user of 1 MB', 'repeat(''u'', 1048576)');
INSERT INTO bad (what, provider) VALUES ('provider NULL', 'NULL'), ('provider empty', ''''''), ('provider of spaces', '''   '''), ('provider unknown', '''exo'''),
    ('provider of 1 MB', 'repeat(''p'', 1048576)'), ('provider of spaces, 1 MB', 'repeat('' '', 1048576)'), ('provider with a line end', 'E''ex\na''');
INSERT INTO bad (what, label) VALUES ('label NULL', 'NULL'), ('label empty', ''''''), ('label of 64 bytes', 'repeat(''l'', 64)'),
    ('label of 32 characters of two bytes', 'repeat(chr(233), 32)'), ('label of 1 MB', 'repeat(''l'', 1048576)'),
    ('label with tab', 'chr(9)'), ('label with 0x01', 'chr(1)'), ('label with 0x1f', '''a'' || chr(31)'), ('label with 0x7f', 'chr(127) || ''a''');
SELECT what, string_agg(DISTINCT state_of(format(template, user_id, provider, label)), ' ') AS every_function
FROM bad, call GROUP BY bad.id, what ORDER BY bad.id;
SELECT what, string_agg(DISTINCT state_of(format(template, user_id)), ' ') AS every_function
FROM bad, (VALUES ('SELECT key_vault.get_all(%s)'), ('SELECT * FROM key_vault.list(%s)'), ('SELECT key_vault.forget(%s)')) AS calls (template)
WHERE what LIKE 'user%' GROUP BY bad.id, what ORDER BY bad.id;

-- what stands at the limit is taken
SELECT key_vault.set(repeat('u', 255), 'exa', repeat('k', 65536), repeat('l', 63), '294276-12-31', 0);
SELECT key_vault.set('user_b', 'exa', make_key(1), '~' || chr(128) || ' ');
SELECT key_vault.forget(repeat('u', 255)), key_vault.forget('user_b');

-- nothing was stored
SELECT count(*) FROM key_vault.secrets;

-- arguments in the wrong order: no message holds what may be a key
CREATE FUNCTION message_holds(statement text, needle text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    EXECUTE statement;
    RAISE 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN position(needle IN concat_ws(' ', message, detail, hint)) > 0;
END $$;
SELECT message_holds('SELECT key_vault.set(''user_a'', make_key(123456789), ''exa'')', '123456789') AS as_provider;
SELECT message_holds('SELECT key_vault.get(''user_a'', make_key(123456789))', '123456789') AS as_provider;
SELECT message_holds('SELECT key_vault.set(''user_a'', ''exa'', ''default'', rpad(make_key(123456789), 70, ''9''))', '123456789') AS as_label;
SELECT message_holds('SELECT key_vault.add_provider(''acme'', env_var => make_key(123456789))', '123456789') AS as_variable;
SELECT message_holds('SELECT key_vault.grant_access(''pg_monitor'', make_key(123456789))', '123456789') AS as_level;
SELECT message_holds('SELECT key_vault.set(''user_a'', ''exa'', make_key(123456789), if_version => 7)', '123456789') AS refused_by_version;
SELECT message_holds('SELECT key_vault.set(''user_a'', ''exa'', make_key(123456789), expires_at => ''2001-01-01'')', '123456789') AS refused_by_time;
SELECT message_holds('SELECT key_vault.set(''user_a'', ''exa'', rpad(make_key(123456789), 65537, ''9''))', '123456789') AS refused_by_length;
SELECT message_holds('SELECT key_vault.set('''', ''exa'', make_key(123456789))', '123456789') AS refused_by_user;
SELECT message_holds('SELECT key_vault.set(rpad(make_key(123456789), 300, ''9''), ''exa'', ''x'')', '123456789') AS as_user;

-- root keys
SELECT state_of('SELECT key_vault.activate_root_key(NULL)') AS null_id, state_of('SELECT key_vault.activate_root_key('''')') AS empty_id,
       state_of('SELECT key_vault.activate_root_key(''0123456789ABCDEF'')') AS capitals, state_of('SELECT key_vault.activate_root_key(''0123456789abcde'')') AS short,
       state_of('SELECT key_vault.activate_root_key(''0123456789abcdef0'')') AS long, state_of('SELECT key_vault.activate_root_key(''0123456789abcdef'')') AS not_in_ring;
SELECT state_of('SELECT key_vault.retire_root_key(NULL)') AS null_id, state_of('SELECT key_vault.retire_root_key(''x'')') AS no_id,
       state_of('SELECT key_vault.retire_root_key(''0123456789abcdef'')') AS not_registered,
       state_of('SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys') AS active;

-- levels
SELECT state_of('SELECT key_vault.grant_access(''regress_kv_nobody'', ''user'')') AS no_role, state_of('SELECT key_vault.grant_access(current_user, ''root'')') AS no_level,
       state_of('SELECT key_vault.grant_access(NULL, ''user'')') AS role_null, state_of('SELECT key_vault.grant_access(current_user, NULL)') AS level_null,
       state_of('SELECT key_vault.grant_access(''public'', ''user'')') AS to_public, state_of('SELECT key_vault.revoke_access(''public'')') AS from_public,
       state_of('SELECT key_vault.revoke_access(''regress_kv_nobody'')') AS revoke_no_role, state_of('SELECT key_vault.revoke_access(NULL)') AS revoke_null;

-- the identity
SET key_vault.user_id = 'ok';
SELECT state_of(format('SET key_vault.user_id = %L', repeat('u', 256))) AS too_long, state_of(format('SET key_vault.user_id = %L', repeat('u', 255))) AS just_fits;
RESET key_vault.user_id;
-- settings that only the server's configuration has
SELECT state_of('SET key_vault.keyring_file = ''/tmp/x''') AS keyring_file, state_of('SET key_vault.keyring_command = ''true''') AS keyring_command,
       state_of('SET key_vault.keyring_command_timeout = 1') AS timeout, state_of('SET key_vault.mode = ''development''') AS mode,
       state_of('SET key_vault.dotenv_file = ''/tmp/.env''') AS dotenv_file, state_of('SET key_vault.nonsense = 1') AS unknown;

-- no root key yet: says so, and nothing is stored
DROP EXTENSION key_vault;
CREATE EXTENSION key_vault;
\set VERBOSITY default
SELECT key_vault.set('user_a', 'exa', make_key(1));
\set VERBOSITY sqlstate
SELECT count(*) FROM key_vault.secrets;

DROP FUNCTION make_key, state_of, message_holds;
DROP EXTENSION key_vault;
