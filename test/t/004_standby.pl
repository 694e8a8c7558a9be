# Reading where nothing can be written: on a hot standby and in a read-only transaction.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_vault('primary', init => [ allows_streaming => 1 ]);
add_role($primary, 'regress_kv_service', 'service');
add_role($primary, 'regress_kv_tenant', 'user', 'user_a');
$primary->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	SELECT key_vault.set('user_a', 'exa', 'exa-key-of-user_a')});

my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my @writes = (
	[ 'set', q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-new' ],
	[ 'delete', q{SELECT key_vault.delete('user_a', 'gemini')} ],
	[ 'delete of what is not there', q{SELECT key_vault.delete('user_a', 'openai')} ],
	[ 'forget', q{SELECT key_vault.forget('user_a')} ],
	[ 'rollback', q{SELECT key_vault.rollback('user_a', 'gemini', 1)} ]);
my @admin_writes = (
	[ 'create_root_key', 'SELECT key_vault.create_root_key()' ],
	[ 'activate_root_key', 'SELECT key_vault.activate_root_key(id) FROM key_vault.root_keys LIMIT 1' ],
	[ 'retire_root_key', 'SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys LIMIT 1' ],
	[ 'grant_access', q{SELECT key_vault.grant_access('regress_kv_tenant', 'service')} ],
	[ 'revoke_access', q{SELECT key_vault.revoke_access('regress_kv_tenant')} ]);

sub reads_work
{
	my ($session, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, 'AIza-of-user_a', "$name: get", $get);
	outcome_is($session, 'AIza-of-user_a', "$name: require", q{SELECT key_vault.require('user_a', 'gemini')});
	outcome_is($session, '{"exa": "exa-key-of-user_a", "gemini": "AIza-of-user_a"}', "$name: get_all",
		q{SELECT key_vault.get_all('user_a')});
	outcome_is($session, 'exa,gemini', "$name: list", q{SELECT string_agg(provider, ',') FROM key_vault.list('user_a')});
	outcome_is($session, 'user', "$name: source", q{SELECT key_vault.source('user_a', 'gemini')});
	outcome_is($session, '1', "$name: versions", q{SELECT count(*) FROM key_vault.versions('user_a', 'gemini')});
	outcome_is($session, 'NULL', "$name: get of no key", q{SELECT key_vault.get('user_a', 'openai')});
	outcome_is($session, 'P0002', "$name: require of no key", q{SELECT key_vault.require('user_a', 'openai')});
	return;
}

sub writes_fail
{
	my ($session, $name, @statements) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, '25006', "$name: $_->[0]", @{$_}[ 1 .. $#$_ ]) for @statements;
	return;
}

# --- A read-only transaction

my $ring = slurp_file(keyring_path($primary));
my $service = session($primary, 'regress_kv_service');
$service->run('SET default_transaction_read_only = on');
reads_work($service, 'read-only');
writes_fail($service, 'read-only', @writes);
$service->run('BEGIN READ ONLY', q{SET LOCAL key_vault.user_id = 'user_a'});
outcome_is($service, 'AIza-of-user_a', 'read-only, with an identity: get', q{SELECT key_vault.get(NULL, 'gemini')});
$service->run('ROLLBACK');
outcome_is($service, 'regress_kv_service', 'read-only: who failed to write is who it was', 'SELECT current_user');
outcome_is($service, 'NULL', 'read-only: and acts for nobody', 'SELECT key_vault.current_user_id()');
$service->run('SET default_transaction_read_only = off');
outcome_is($service, 'f', 'and may write again', q{SELECT key_vault.delete('user_a', 'openai')});

my $admin = session($primary);
$admin->run('SET default_transaction_read_only = on');
writes_fail($admin, 'read-only', @admin_writes);
is(slurp_file(keyring_path($primary)), $ring, 'read-only: the keyring is as it was');
is($admin->value('SELECT count(*) > 5 FROM key_vault.status()'), 't', 'read-only: status');

# --- A standby that has no keyring yet

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
my $copied = PostgreSQL::Test::Utils::tempdir . '/standby_keyring';
$standby->append_conf('postgresql.conf', "key_vault.keyring_file = '$copied'\n");
$standby->start;
$primary->wait_for_catchup($standby);

my $reader = session($standby, 'regress_kv_service');
my $result = $reader->query($get);
is($result->{error}{state}, 'F0000', 'standby without a keyring: get');
like($result->{error}{message}, qr/could not open file "\Q$copied\E"/, 'and says which file is missing');
outcome_is($reader, 'exa,gemini', 'standby without a keyring: list', q{SELECT string_agg(provider, ',') FROM key_vault.list('user_a')});
outcome_is($reader, 'user', 'standby without a keyring: source', q{SELECT key_vault.source('user_a', 'gemini')});
outcome_is(session($standby), 'error', 'standby without a keyring: status tells',
	q{SELECT state FROM key_vault.status() WHERE item = 'keyring'});

# --- A standby that has it

copy(keyring_path($primary), $copied);
chmod 0600, $copied;
reads_work($reader, 'standby, the session that had none');
reads_work(session($standby, 'regress_kv_service'), 'standby');
writes_fail($reader, 'standby', @writes);
outcome_is($reader, 'regress_kv_service', 'standby: who failed to write is who it was', 'SELECT current_user');

# the planner's way, which runs as the owner
$primary->safe_psql('postgres', 'CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true)');
$primary->wait_for_catchup($standby);
reads_work($reader, 'standby, the planner\'s way');
$primary->safe_psql('postgres', 'DROP POLICY harmless ON key_vault_data.secrets');
$primary->wait_for_catchup($standby);

my $tenant = session($standby, 'regress_kv_tenant');
outcome_is($tenant, 'AIza-of-user_a', 'standby: get by identity', q{SELECT key_vault.get(NULL, 'gemini')});
outcome_is($tenant, '42501', 'standby: get of another user\'s key', q{SELECT key_vault.get('user_b', 'gemini')});
outcome_is($tenant, '2', 'standby: rows', 'SELECT count(*) FROM key_vault.secrets');

my $standby_admin = session($standby);
writes_fail($standby_admin, 'standby', @admin_writes);
is(slurp_file($copied), $ring, 'standby: its keyring is as it was');
is($standby_admin->value('SELECT count(*) > 5 FROM key_vault.status()'), 't', 'standby: status');

# --- What changes on the primary reaches sessions that are open on the standby

my $writer = session($primary, 'regress_kv_service');
$writer->value(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-second');
$primary->wait_for_catchup($standby);
outcome_is($reader, 'AIza-second', 'standby: a new version', $get);

my $last = q{SELECT last_outcome FROM key_vault.lookup('user_a', 'gemini')};
outcome_is($reader, 'NULL', 'standby: no outcome is recorded', $last);
$writer->value(q{SELECT key_vault.record_outcome('user_a', 'gemini', 'quota')});
$primary->wait_for_catchup($standby);
outcome_is($reader, 'quota', 'standby: the first outcome that is', $last);

$admin->run('SET default_transaction_read_only = off');
my $created = $admin->value('SELECT key_vault.create_root_key()');
$result = $admin->query('SELECT key_vault.activate_root_key($1)', $created);
is($result->{error}, undef, 'another root key is active on the primary');
is(warned($result, 'F0000'), 1, 'which warns that there are replicas');
$writer->value(q{SELECT key_vault.set('user_b', 'gemini', $1)}, 'AIza-by-second-root-key');
$primary->wait_for_catchup($standby);
$result = $reader->query(q{SELECT key_vault.get('user_b', 'gemini')});
is($result->{error}{state}, 'F0000', 'standby: a root key that its keyring lacks');
like($result->{error}{message}, qr/root key $created is not in the keyring/, 'is named');
outcome_is($reader, 'AIza-second', 'standby: what the old root key sealed still opens', $get);
copy(keyring_path($primary), $copied);
outcome_is($reader, 'AIza-by-second-root-key', 'standby: once it is copied, the same session opens it',
	q{SELECT key_vault.get('user_b', 'gemini')});

$primary->safe_psql('postgres', q{SELECT key_vault.revoke_access('regress_kv_tenant')});
$primary->wait_for_catchup($standby);
outcome_is($tenant, '42501', 'standby: a revoked level', q{SELECT key_vault.get(NULL, 'gemini')});

# --- Promotion

$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
outcome_is($reader, '3', 'promoted: set in a session from before', q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-third');
outcome_is($reader, 'AIza-third', 'promoted: get', $get);
outcome_is($reader, 't', 'promoted: delete', q{SELECT key_vault.delete('user_a', 'exa')});
like($standby_admin->value('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, 'promoted: create_root_key');
isnt(slurp_file($copied), slurp_file(keyring_path($primary)), 'promoted: it has a keyring of its own');
outcome_is($writer, 'AIza-second', 'the old primary is untouched', $get);

done_testing();
