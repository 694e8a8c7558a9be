# Secrets that are replicated logically open on the subscriber when it has the keyring and
# knows the root key: registered there by hand, or replicated with the table of root keys.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_vault('publisher', init => [ allows_streaming => 'logical' ]);
add_role($publisher, 'regress_kv_service', 'service');
$publisher->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	CREATE PUBLICATION secrets FOR TABLE key_vault_data.secrets;
	CREATE PUBLICATION root_keys FOR TABLE key_vault_data.root_key_registry});
my $writer = session($publisher, 'regress_kv_service');
my $publisher_admin = session($publisher);
my $root_key = $publisher_admin->value('SELECT id FROM key_vault.root_keys');

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
my $ring = PostgreSQL::Test::Utils::tempdir . '/ring';
$subscriber->init(allows_streaming => 'logical', extra => [ '--encoding=UTF8', '--locale=C' ]);
$subscriber->append_conf('postgresql.conf', "key_vault.keyring_file = '$ring'\n");
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION key_vault');
$subscriber->safe_psql('postgres', q{CREATE ROLE regress_kv_service LOGIN; SELECT key_vault.grant_access('regress_kv_service', 'service')});

my $source = $publisher->connstr . ' dbname=postgres';
sub subscribe
{
	my ($name) = @_;
	$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION $name CONNECTION '$source' PUBLICATION $name");
	$subscriber->wait_for_subscription_sync($publisher, $name);
	return;
}

sub write_and_wait
{
	my ($sql, @parameters) = @_;
	$writer->value($sql, @parameters);
	$publisher->wait_for_catchup('secrets');
	return;
}

sub ring_now
{
	unlink $ring;
	copy(keyring_path($publisher), $ring);
	chmod 0600, $ring;
	return;
}

my $get = q{SELECT key_vault.get('user_a', 'gemini')};

# --- The secrets alone

subscribe('secrets');
my $reader = session($subscriber, 'regress_kv_service');
my $admin = session($subscriber);
outcome_is($reader, 'gemini', 'the rows are there', q{SELECT provider FROM key_vault.list('user_a')});
ring_now();
my $result = $reader->query($get);
is($result->{error}{state}, 'XX001', 'a root key that is not registered: no secret opens, although the keyring is there');
like($result->{error}{detail}, qr/its root key is not registered in this database/, 'and the error says so');
outcome_is($admin, 'error', 'as does status', q{SELECT state FROM key_vault.status() WHERE item = 'sealed_rows'});
outcome_is($admin, '', 'it is registered', 'SELECT key_vault.activate_root_key($1)', $root_key);
outcome_is($reader, 'AIza-of-user_a', 'then they open, in the same session', $get);
outcome_is($reader, 'AIza-of-user_b', 'each one', q{SELECT key_vault.require('user_b', 'gemini')});
$reader->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_b'});
outcome_is($reader, '42501', 'and are kept apart', $get);
outcome_is(session($subscriber, 'regress_kv_service'), '0', 'also by the policy', 'SELECT count(*) FROM key_vault.secrets');
$reader->run('ROLLBACK');

write_and_wait(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-second');
outcome_is($reader, 'AIza-second', 'a new version is replicated', $get);
write_and_wait(q{SELECT key_vault.set('user_a', 'gemini', 'AIza-' || n) FROM generate_series(3, 6) n});
outcome_is($reader, '4,5,6', 'old ones are trimmed there, too',
	q{SELECT string_agg(version::text, ',' ORDER BY version) FROM key_vault.versions('user_a', 'gemini')});
write_and_wait(q{SELECT key_vault.set('user_a', 'exa', $1, attributes => $2)}, 'exa-of-user_a', '{"base_url": "https://eu.example.com", "n": 1.50}');
outcome_is($reader, 'exa-of-user_a {"n": 1.50, "base_url": "https://eu.example.com"}', 'attributes are replicated, and open',
	q{SELECT concat_ws(' ', api_key, attributes) FROM key_vault.lookup('user_a', 'exa')});
write_and_wait(q{SELECT key_vault.delete('user_a', 'exa')});
write_and_wait(q{SELECT key_vault.delete('user_b', 'gemini')});
outcome_is($reader, 'NULL', 'a deleted one is gone', q{SELECT key_vault.get('user_b', 'gemini')});

# --- With the root keys' table

$subscriber->safe_psql('postgres', 'TRUNCATE key_vault_data.root_key_registry');
outcome_is($reader, 'XX001', 'without the registry nothing opens again', $get);
subscribe('root_keys');
outcome_is($reader, 'AIza-6', 'with the root keys replicated, what is open already goes on', $get);

my $second = $publisher_admin->value('SELECT key_vault.create_root_key()');
$result = $publisher_admin->query('SELECT key_vault.activate_root_key($1)', $second);
is($result->{error}, undef, 'another root key is made and activated');
is(warned($result, 'F0000'), 1, 'with the WARNING that there are replicas');
write_and_wait(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-by-second');
$publisher->wait_for_catchup('root_keys');
$result = $reader->query($get);
is($result->{error}{state}, 'F0000', 'before the keyring is copied: an error');
like($result->{error}{message}, qr/root key $second is not in the keyring/, 'that names the root key');
ring_now();
outcome_is($reader, 'AIza-by-second', 'after that it opens, in the same session', $get);

$publisher_admin->run('CALL key_vault.rotate_root_key()');
$publisher_admin->value('SELECT key_vault.retire_root_key($1)', $root_key);
$publisher->wait_for_catchup($_) for 'secrets', 'root_keys';
outcome_is($reader, 'AIza-by-second', 'a rotation is replicated', $get);
outcome_is($admin, 'retired 0, active ' . $publisher_admin->value('SELECT count(*) FROM key_vault.secrets'),
	'with what became of the root keys', q{SELECT string_agg(state || ' ' || secrets, ', ' ORDER BY activated_at) FROM key_vault.root_keys});
unlike(slurp_file($subscriber->logfile), qr/logical replication (apply|table synchronization) worker.*(exited with exit code 1)/, 'no worker failed');

$subscriber->safe_psql('postgres', "DROP SUBSCRIPTION $_") for 'secrets', 'root_keys';
done_testing();
