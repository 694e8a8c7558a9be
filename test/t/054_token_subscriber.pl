# Issuers, revocations and root keys that arrive by logical replication: a session that has them
# in memory knows at its next call, also in the middle of a transaction.  What applies them fires
# no triggers but those that are by row and always.  Where a restore has made others of them, the
# tables are read at each call, and status() says so.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $iss = 'https://issuer.example';
my $issuer = new_issuer(issuer => $iss, algorithm => 'ES256');
my %rules = (clock_skew => q{'0'}, user_prefix => q{'u:'});
my $publisher = new_vault('publisher', init => [ allows_streaming => 'logical' ]);
add_role($publisher, 'regress_kv_service', 'service');
$issuer->trusted_by($publisher, %rules);
$publisher->safe_psql('postgres', q{
	SELECT key_vault.set('u:user_a', 'gemini', 'AIza-of-user_a');
	CREATE PUBLICATION vault FOR TABLE key_vault_data.secrets, key_vault_data.root_key_registry, key_vault_data.sealed_records, key_vault_data.revocations});
my $source = session($publisher);

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
my $ring = PostgreSQL::Test::Utils::tempdir . '/ring';
copy(keyring_path($publisher), $ring);
chmod 0600, $ring;
$subscriber->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$subscriber->append_conf('postgresql.conf', "key_vault.keyring_file = '$ring'\n");
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION key_vault');
add_role($subscriber, 'regress_kv_user', 'user');
my $session = session($subscriber, 'regress_kv_user');
my $authenticate = 'SELECT key_vault.authenticate($1)';
my $get = q{SELECT key_vault.get(NULL, 'gemini')};
my $token = $issuer->token;

outcome_is($session, '28000', 'no issuer yet', $authenticate, $token);
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION vault CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION vault");
$subscriber->wait_for_subscription_sync($publisher, 'vault');
outcome_is($session, 'u:user_a', 'the issuer has come with the first copy', $authenticate, $token);

# In a session that remembers the token, and in a transaction that has it
sub from_now_on
{
	my ($name, $change, $states, $back) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, 'u:user_a', "$name: before", $authenticate, $token);
	$session->run('BEGIN');
	outcome_is($session, 'u:user_a', "$name: before, in a transaction", $authenticate, $token);
	outcome_is($session, 'AIza-of-user_a', "$name: which serves", $get);
	ref $change ? $change->() : $source->run($change);
	$publisher->wait_for_catchup('vault');
	outcome_is($session, $states->[0], "$name: the next call in it", $get);
	$session->run('ROLLBACK');
	outcome_is($session, $states->[1], "$name: the next transaction", $authenticate, $token);
	return unless $back;
	$back->();
	$publisher->wait_for_catchup('vault');
	return;
}

my $restore = sub { $issuer->trusted_by($publisher, %rules) };
from_now_on('another issuer', sub { new_issuer(issuer => 'https://other.example')->trusted_by($publisher, user_prefix => q{'o:'}) }, [ 'AIza-of-user_a', 'u:user_a' ]);
from_now_on('the issuer is not trusted', "SELECT key_vault.distrust_issuer('$iss')", [ '28000', '28000' ], $restore);
from_now_on('its key is another one', sub { new_issuer(%$issuer, kid => 'two')->trusted_by($publisher, %rules) }, [ '28000', '28000' ], $restore);
from_now_on('the user is revoked', sub { sleep 1.1; $source->run(q{SELECT key_vault.revoke_tokens('u:user_a')}) }, [ '28000', '28000' ],
	sub { sleep 1.1; $token = $issuer->token });
from_now_on('the table is emptied', 'TRUNCATE key_vault_data.sealed_records', [ '28000', '28000' ], sub {
	$source->run('TRUNCATE key_vault_data.revocations');
	$restore->();
});
my $row = $source->value('SELECT row_to_json(r) FROM key_vault_data.root_key_registry r');
# a remembered token's issuer is not opened again, but no secret opens
from_now_on('the root key is not registered', 'DELETE FROM key_vault_data.root_key_registry', [ 'XX001', 'u:user_a' ], sub {
	$source->run("INSERT INTO key_vault_data.root_key_registry SELECT (json_populate_record(NULL::key_vault_data.root_key_registry, '$row')).*");
});
outcome_is($session, 'u:user_a', 'all is as it was', $authenticate, $token);

# --- A restore with --disable-triggers leaves triggers that do not fire for what is replicated

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$subscriber->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $subscriber->connstr('postgres') ], 'a dump');
$subscriber->safe_psql('postgres', 'CREATE DATABASE restored');
$subscriber->safe_psql('restored', 'CREATE EXTENSION key_vault');
$subscriber->command_ok([ 'pg_restore', '--data-only', '--disable-triggers', '-d', $subscriber->connstr('restored'), $dump ], 'a restore of the data alone, with --disable-triggers');
my $status = q{SELECT concat_ws(': ', state, detail), remedy FROM key_vault.status() WHERE item = 'tables'};
my ($detail, $remedy) = @{ session($subscriber, undef, dbname => 'restored')->query($status)->{rows}[0] };
like($detail, qr/^warning: .*trigger metadata_changed on key_vault_data\.revocations does not fire always/, 'status says what it did to the triggers');

my $admin = session($subscriber);
my @told = qw(revocations root_key_registry sealed_records);
$admin->run(map { ("ALTER TABLE key_vault_data.$_ DISABLE TRIGGER ALL", "ALTER TABLE key_vault_data.$_ ENABLE TRIGGER ALL") } @told);
from_now_on('without triggers, the issuer is not trusted', "SELECT key_vault.distrust_issuer('$iss')", [ '28000', '28000' ], $restore);
from_now_on('without triggers, the user is revoked', sub { sleep 1.1; $source->run(q{SELECT key_vault.revoke_tokens('u:user_a')}) }, [ '28000', '28000' ],
	sub { sleep 1.1; $token = $issuer->token });
from_now_on('without triggers, the root key is not registered', 'DELETE FROM key_vault_data.root_key_registry', [ 'XX001', 'XX001' ], sub {
	$source->run("INSERT INTO key_vault_data.root_key_registry SELECT (json_populate_record(NULL::key_vault_data.root_key_registry, '$row')).*");
});

# The remedy, as status gives it
for my $dbname (qw(postgres restored))
{
	my $in = session($subscriber, undef, dbname => $dbname);
	($detail, $remedy) = @{ $in->query($status)->{rows}[0] };
	$in->run(grep { /\S/ } split /;\s*/, $remedy);
	is($in->query($status)->{rows}[0][0] =~ s/:.*//r, 'ok', "$dbname: status is content once its remedy was run");
}
from_now_on('with triggers again, the issuer is not trusted', "SELECT key_vault.distrust_issuer('$iss')", [ '28000', '28000' ], $restore);

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION vault');
done_testing();
