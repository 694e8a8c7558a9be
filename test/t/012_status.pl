# What status() finds wrong, it says how to mend: each remedy is pasted as it stands, and the
# item is ok afterwards.  What cannot be found out takes no other item away.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV GEMINI_API_KEY)};
my $node = new_vault('remedies');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $super = session($node);
add_role($node, 'regress_kv_app', 'service');
add_role($node, 'regress_kv_monitor', 'monitor');
add_role($node, 'regress_kv_other');
$super->run('CREATE ROLE "regress_kv_O\'Hara ""x""" LOGIN', q{SELECT key_vault.grant_access('regress_kv_O''Hara "x"', 'user')},
	q{SELECT key_vault.set('user_a', 'exa', repeat('k', 20))});

# (state, detail, remedy) of an item, from a fresh session.
sub finding
{
	my ($item, $dbname) = @_;
	my $row = session($node, undef, dbname => $dbname // 'postgres')
	  ->query(q{SELECT state, detail, remedy FROM key_vault.status() WHERE item = $1}, $item)->{rows}[0];
	return @$row;
}

# Types a remedy into psql.  Its output.
sub paste
{
	my ($remedy, $dbname) = @_;
	my ($out, $err);
	my $status = $node->psql($dbname // 'postgres', $remedy, stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($status, 0, 'the remedy runs') or diag("$remedy\n$err");
	return $out;
}

sub is_mended
{
	my ($name, $item, $dbname) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($state, $detail, $remedy) = finding($item, $dbname);
	is($state, 'ok', "$name: ok afterwards") or diag(join "\n", map { $_ // '' } $detail, $remedy);
	is($remedy, undef, "$name: and nothing to do");
	return;
}

# What is done to it, what status() says, and what stays after the remedy.
sub mends
{
	my ($item, $state, $said, $harm, $stays) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$super->run(@$harm);
	my ($found, $detail, $remedy) = finding($item);
	is($found, $state, "$item: $harm->[0]");
	like($detail, $said, "$item: it is said") or return;
	paste($remedy);
	is_mended($harm->[0], $item);
	outcome_is(session($node), 't', "$item: what else there was is there", $stays) if defined $stays;
	return;
}

my $items = $super->value('SELECT count(*) FROM key_vault.status()');
is($super->value(q{SELECT string_agg(item, ',') FROM key_vault.status() WHERE state = 'error'}), undef, 'nothing is wrong at first');

# --- By SQL alone

mends('log_settings', 'warning', qr/regress_kv_app: debug_print_plan = on, regress_kv_app: log_min_duration_statement = 5s, regress_kv_app: log_statement = all/,
	[ q{ALTER ROLE regress_kv_app SET log_statement = 'all'}, q{ALTER DATABASE postgres SET log_min_duration_statement = '5s'},
	  q{ALTER ROLE regress_kv_app IN DATABASE postgres SET debug_print_plan = on}, q{ALTER ROLE ALL SET auto_explain.log_min_duration = 0} ],
	q{SELECT setconfig @> '{log_min_duration_statement=5s}' FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase <> 0});
$super->run((map { "ALTER ROLE $_ RESET ALL" } 'ALL', map { ($_, "$_ IN DATABASE postgres") } 'regress_kv_app', q{"regress_kv_O'Hara ""x"""}),
	'ALTER DATABASE postgres RESET ALL', q{ALTER SYSTEM SET log_statement = 'mod'}, 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{SELECT current_setting('log_statement') = 'mod'}) or die;
mends('log_settings', 'warning', qr/regress_kv_O'Hara "x": log_statement = mod/, [ 'SELECT 1' ]);
$super->run('ALTER SYSTEM RESET log_statement', 'SELECT pg_reload_conf()');
mends('service_roles', 'warning', qr/regress_kv_O'Hara "x": incomplete user, missing SELECT ON TABLE key_vault_data\.secrets/,
	[ q{REVOKE SELECT ON key_vault_data.secrets FROM "regress_kv_O'Hara ""x"""} ]);
mends('role_settings', 'warning', qr/every role in database postgres: key_vault\.user_id=user_a/,
	[ q{ALTER DATABASE postgres SET key_vault.user_id = 'user_a'}, q{ALTER DATABASE postgres SET work_mem = '5MB'},
	  q{ALTER ROLE ALL SET key_vault.user_id = 'user_b'} ],
	q{SELECT current_setting('work_mem') = '5MB'});
$super->run(q{ALTER SYSTEM SET key_vault.user_id = 'user_a'}, 'SELECT pg_reload_conf()');
mends('role_settings', 'warning', qr/every role of the server: key_vault\.user_id=user_a/, [ 'SELECT 2' ]);
mends('privileges', 'warning', qr/PUBLIC: EXECUTE ON ROUTINE key_vault\.get.*regress_kv_O'Hara "x": UPDATE \(hint\)/,
	[ q{GRANT UPDATE (hint), DELETE ON key_vault_data.secrets TO "regress_kv_O'Hara ""x"""}, 'GRANT EXECUTE ON FUNCTION key_vault.get TO PUBLIC',
	  'GRANT USAGE ON SCHEMA key_vault_data TO regress_kv_app', 'GRANT EXECUTE ON FUNCTION key_vault.escrow_keyring TO regress_kv_other',
	  'GRANT SELECT ON key_vault.rotation_progress TO regress_kv_other' ],
	q{SELECT has_table_privilege('regress_kv_other', 'key_vault.rotation_progress', 'SELECT')
		AND 4 = (SELECT count(*) FROM key_vault.access WHERE role LIKE 'regress\_kv\_%' AND (complete OR level IS NULL OR role = 'regress_kv_other'))});
mends('privileges', 'warning', qr/regress_kv_app has level service and bypasses row-level security; regress_kv_app has level service and is a member of pg_write_all_data/,
	[ 'ALTER ROLE regress_kv_app BYPASSRLS', 'CREATE ROLE regress_kv_writers IN ROLE pg_write_all_data', 'GRANT regress_kv_writers TO regress_kv_app' ],
	q{SELECT pg_has_role('regress_kv_app', 'regress_kv_writers', 'MEMBER')});
mends('policies', 'error', qr/row-level security is off on key_vault_data\.usage/, [ 'ALTER TABLE key_vault_data.usage DISABLE ROW LEVEL SECURITY' ]);
mends('policies', 'error', qr/own_rows is not as installed on key_vault_data\.secrets/, [ 'DROP POLICY own_rows ON key_vault_data.secrets' ]);
mends('policies', 'error', qr/own_rows is not as installed on key_vault_data\.secrets/, [ 'ALTER POLICY own_rows ON key_vault_data.secrets USING (true)' ],
	q{SELECT count(*) = 1 FROM key_vault.secrets});
for my $other ('FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id()) WITH CHECK (true)',
	'FOR SELECT TO PUBLIC USING (user_id = key_vault.current_user_id())', 'FOR ALL TO regress_kv_app USING (user_id = key_vault.current_user_id())',
	'AS RESTRICTIVE FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id())')
{
	mends('policies', 'error', qr/own_rows is not as installed on key_vault_data\.secrets/,
		[ 'DROP POLICY own_rows ON key_vault_data.secrets', "CREATE POLICY own_rows ON key_vault_data.secrets $other" ]);
}
mends('policies', 'warning', qr/policy Mine on secrets/, [ 'CREATE POLICY "Mine" ON key_vault_data.secrets USING (true)' ]);
mends('tables', 'error', qr/routine key_vault\.set\(.*schema key_vault_data.*table key_vault_data\.secrets belongs to regress_kv_app; table key_vault_data\.usage is unlogged/,
	[ 'ALTER TABLE key_vault_data.secrets OWNER TO regress_kv_app', 'ALTER FUNCTION key_vault.set OWNER TO regress_kv_app',
	  'ALTER SCHEMA key_vault_data OWNER TO regress_kv_app', 'ALTER TABLE key_vault_data.usage SET UNLOGGED' ],
	q{SELECT key_vault.get('user_a', 'exa') = repeat('k', 20)});
mends('pgcrypto', 'warning', qr/regress_kv_other owns schema theirs/,
	[ 'CREATE SCHEMA theirs AUTHORIZATION regress_kv_other', 'CREATE EXTENSION pgcrypto SCHEMA theirs' ],
	q{SELECT pgcrypto.armor('x') <> ''});

# --- Root keys: none, and those of another database

$super->run('CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION key_vault');
$super->run(q{ALTER ROLE regress_kv_app IN DATABASE second SET log_statement = 'all'}, q{ALTER DATABASE second SET log_min_duration_statement = 0});
is((finding('log_settings'))[0], 'ok', 'log_settings: what is set for another database is not told of');
is((finding('log_settings', 'second'))[0], 'warning', 'log_settings: but there');
{
	my ($state, undef, $remedy) = finding('root_key', 'second');
	is($state, 'error', 'root_key: there is none');
	paste($remedy, 'second');
	is_mended('no root key', 'root_key', 'second');
}
{
	my ($active, $other) = map { $node->safe_psql($_, q{SELECT id FROM key_vault.root_keys WHERE state = 'active'}) } qw(second postgres);
	$node->safe_psql('postgres', "COPY key_vault_data.secrets TO '$folder/rows'");
	$node->safe_psql('second', "COPY key_vault_data.secrets FROM '$folder/rows'");
	my ($state, $detail, $remedy) = finding('sealed_rows', 'second');
	is($state, 'error', 'sealed_rows: rows of another database');
	like($detail, qr/1 sealed with root key $other, which this database did not register/, 'sealed_rows: it is said');
	paste($remedy, 'second');
	is_mended('rows of another database', 'sealed_rows', 'second');
	is($node->safe_psql('second', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'}), $active, 'the active root key is the one that was');
}

# --- The configuration, and the server's environment

append_to_file("$folder/.env", "SOMETHING=else\n");
$node->append_conf('postgresql.conf', "key_vault.dotenv_file = '$folder/.env'\n");
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT state = 'warning' FROM key_vault.status() WHERE item = 'mode'}), 'mode: development by absence');
paste((finding('mode'))[2]);
ok($node->poll_query_until('postgres', q{SELECT state = 'ok' FROM key_vault.status() WHERE item = 'mode'}), 'mode: ok afterwards');
is((finding('mode'))[1], 'production: key_vault.mode is production.', 'mode: and which it is');
$super->run(q{ALTER SYSTEM SET key_vault.mode = 'development'});
$node->append_conf('postgresql.conf', "key_vault.dotenv_file = ''\n");
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT state = 'warning' FROM key_vault.status() WHERE item = 'mode'}), 'mode: development without a file');
paste((finding('mode'))[2] =~ s{/path/to/backend}{$folder}r);
ok($node->poll_query_until('postgres', q{SELECT state = 'ok' FROM key_vault.status() WHERE item = 'mode'}), 'mode: ok with one');
$super->run('ALTER SYSTEM RESET ALL');

{
	local $ENV{GEMINI_API_KEY} = 'AIza-of-the-operator';
	$node->restart;
}
is((finding('environment'))[0], 'warning', 'environment: a key of the operator\'s');
$node->restart;
is_mended('without it', 'environment');

# --- What cannot be found out

$super = session($node);
my $monitor = session($node, 'regress_kv_monitor');
my $not_found_out = q{SELECT coalesce(string_agg(item || ' ' || state, ',' ORDER BY item), 'none') FROM key_vault.status() WHERE detail LIKE 'It could not be found out: %' AND remedy <> ''};
outcome_is($monitor, 'none', 'all can be found out by a monitor', $not_found_out);
$super->run('BEGIN', 'LOCK TABLE key_vault_data.secrets');
# PostgreSQL reads a policy's expression under a lock of its table
like($monitor->value($not_found_out), qr/^(policies error,)?sealed_rows error$/, 'a table is locked: what needs it is not found out');
outcome_is($monitor, $items, 'a table is locked: all items are there', 'SELECT count(*) FROM key_vault.status()');
$monitor->run(q{SET statement_timeout = '500ms'});
outcome_is($monitor, '57014', 'who cancels the statement, cancels all of it', 'SELECT count(*) FROM key_vault.status()');
$monitor->run('RESET statement_timeout');
$super->run('ROLLBACK');
outcome_is($monitor, 'none', 'all is found out again', $not_found_out);
outcome_is($monitor, '0', 'and the transaction goes on', 'SELECT count(*) FROM key_vault.rotation_progress');

# Compiled, the view would take a second and more
$monitor->run('SET jit = on');
unlike(join("\n", map { $_->[0] } @{ $monitor->query('EXPLAIN SELECT * FROM key_vault.access')->{rows} }), qr/JIT/, 'nothing of the view access is compiled');

# A view that is queued for holds nobody up but those who select from it
$super->run('BEGIN', map { "ALTER VIEW key_vault.$_ SET (security_barrier)" } qw(access inventory root_keys secrets));
outcome_is($monitor, 'none', 'views are locked: status()', $not_found_out);
outcome_is($monitor, '0', 'views are locked: expiring()', q{SELECT count(*) FROM key_vault.expiring('1 day')});
$super->run('ROLLBACK');

done_testing();
