# The library loaded when the server starts: nothing is different, and no session finds the
# settings undefined.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;

my $node = new_vault('preloaded', conf => "shared_preload_libraries = 'key_vault'\n");
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

$node->restart;
outcome_is(session($node, 'regress_kv_service'), 'AIza-of-user_a', 'after a restart: get', q{SELECT key_vault.get('user_a', 'gemini')});

done_testing();
