# The library loaded when the server starts: nothing is different, and no session finds the
# settings undefined.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;

my $node = new_vault('preloaded', conf => "shared_preload_libraries = 'key_vault'\nrestart_after_crash = on\n");
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
add_role($node, 'regress_kv_nobody');

my $service = session($node, 'regress_kv_service');
outcome_is($service, '1', 'set', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a')});
outcome_is($service, 'AIza-of-user_a', 'get', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is(session($node, 'regress_kv_tenant'), 'AIza-of-user_a', 'a tenant has its identity', q{SELECT key_vault.get(NULL, 'gemini')});
outcome_is(session($node, 'regress_kv_tenant'), '42501', 'and no other', q{SELECT set_config('key_vault.user_id', 'user_b', false)});
outcome_is(session($node, 'regress_kv_nobody'), '42501', 'before any call, a role without a level cannot set the identity', q{SET key_vault.user_id = 'user_a'});
outcome_is(session($node, 'regress_kv_nobody'), '42501', 'nor see where the keyring is', 'SHOW key_vault.keyring_file');
ok(KeyVaultClient->attempt(host => $node->host, port => $node->port, user => 'regress_kv_nobody', dbname => 'postgres',
	options => '-c key_vault.user_id=user_a')->{closed}, 'nor by PGOPTIONS');
outcome_is(session($node), 'ok', 'status takes it for preloaded', q{SELECT state FROM key_vault.status() WHERE item = 'preload'});

# Each database has root keys of its own, with the library in both
$node->safe_psql('postgres', 'CREATE DATABASE second');
KeyVaultTest::install_vault($node, 'second');
outcome_is(session($node, undef, dbname => 'second'), 'NULL', 'a second database has its own keys', q{SELECT key_vault.get('user_a', 'gemini')});

# One that has not got the extension
$node->safe_psql('postgres', 'CREATE DATABASE without');
my $without = session($node, undef, dbname => 'without');
outcome_is($without, 'auto', 'a database without the extension: settings are known', 'SHOW key_vault.mode');
outcome_is($without, '3F000', 'and that there is no schema is said', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-in-no-schema')});
outcome_is($without, '1', 'all else works', 'SELECT 1');

# What a session brings along is checked when it starts
outcome_is(session($node, 'regress_kv_service', options => '-c key_vault.user_id=user_a'), 'AIza-of-user_a',
	'PGOPTIONS by a service role', q{SELECT key_vault.get(NULL, 'gemini')});

# A reload reaches sessions that are there
my $moved = keyring_path($node) . '.moved';
rename keyring_path($node), $moved or die;
$node->safe_psql('postgres', "ALTER SYSTEM SET key_vault.keyring_file = '$moved'");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_file') = '$moved'"), 'the keyring is elsewhere');
outcome_is($service, 'AIza-of-user_a', 'a session that was there: get', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is(session($node, 'regress_kv_service'), 'AIza-of-user_a', 'a new session: get', q{SELECT key_vault.get('user_a', 'gemini')});

# The identity reaches parallel workers, which the postmaster forks with the library
{
	my $workers = session($node, 'regress_kv_service');
	$workers->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'},
		q{SELECT set_config(name, CASE vartype WHEN 'enum' THEN 'on' ELSE '0' END, true) FROM pg_settings
			WHERE name IN ('force_parallel_mode', 'debug_parallel_query', 'parallel_setup_cost', 'parallel_tuple_cost')});
	outcome_is($workers, '{user_a}', 'parallel workers', 'SELECT array_agg(DISTINCT key_vault.current_user_id()) FROM pg_class');
	outcome_is($workers, '1', 'parallel workers: rows', 'SELECT count(*) FROM key_vault.secrets');
}

# One backend is killed, and the postmaster starts all anew with what it has
my $pid = $service->value('SELECT pg_backend_pid()');
kill KILL => $pid;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'after a crash the server is back');
outcome_is(session($node, 'regress_kv_service'), 'AIza-of-user_a', 'after a crash: get', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is(session($node, 'regress_kv_tenant'), '42501', 'after a crash: a tenant has no other identity', q{SELECT set_config('key_vault.user_id', 'user_b', false)});

$node->restart;
outcome_is(session($node, 'regress_kv_service'), 'AIza-of-user_a', 'after a restart: get', q{SELECT key_vault.get('user_a', 'gemini')});

done_testing();
