# A hot standby whose keyring is missing, of another cluster, or older than the primary's: what
# it says, what it goes on with, and that it takes a copy without a restart.  Then it is
# promoted with a keyring that is too old: nothing is sealed or made until it is complete.
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
add_role($primary, 'regress_kv_admin', 'admin');
$primary->safe_psql('postgres', q{
	SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a');
	SELECT key_vault.set('user_a', 'exa', 'exa-key-of-user_a');
	SELECT key_vault.set('user_b', 'gemini', 'AIza-of-user_b');
	SELECT pg_create_physical_replication_slot('standby')});
my $admin = session($primary);
my $first = $admin->value('SELECT id FROM key_vault.root_keys');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
my $ring = PostgreSQL::Test::Utils::tempdir . '/ring';
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "key_vault.keyring_file = '$ring'\nprimary_slot_name = 'standby'\n");
$standby->start;

sub put_ring
{
	my ($content) = @_;
	unlink $ring;
	return unless defined $content;
	append_to_file("$ring.new", $content);
	chmod 0600, "$ring.new";
	rename "$ring.new", $ring or die $!;
	return;
}

# A call's error: SQLSTATE and the start of the message
sub fails_with
{
	my ($session, $name, $state, $pattern, $sql, @parameters) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $session->query($sql, @parameters);
	is($result->{error}{state}, $state, $name);
	like($result->{error}{message}, $pattern, "$name: and why");
	return;
}

sub on_standby
{
	$primary->wait_for_catchup($standby);
	return session($standby, @_ ? $_[0] : 'regress_kv_service');
}

my $get = q{SELECT key_vault.get($1, $2)};
my $require = q{SELECT key_vault.require($1, $2)};

# --- Missing, then another cluster's, then the right one

my $reader = on_standby();
fails_with($reader, 'no keyring: require', 'F0000', qr/^could not open file "\Q$ring\E": No such file/, $require, 'user_a', 'gemini');
fails_with($reader, 'no keyring: get_all', 'F0000', qr/^could not open file/, q{SELECT key_vault.get_all('user_a')});
outcome_is($reader, 'P0002', 'no keyring: who has no key is told so all the same', $require, 'user_a', 'openai');
outcome_is($reader, '{}', 'no keyring: get_all of who has none', q{SELECT key_vault.get_all('user_c')});
outcome_is(on_standby('regress_kv_admin'), 'unknown', 'no keyring: root_keys', 'SELECT state FROM key_vault.root_keys');

my $other = new_vault('other');
put_ring(slurp_file(keyring_path($other)));
$other->stop;
fails_with($reader, 'another cluster\'s keyring: get', 'F0000', qr/^root key $first is not in the keyring$/, $get, 'user_a', 'gemini');
outcome_is(on_standby('regress_kv_admin'), 'missing', 'another cluster\'s keyring: root_keys', 'SELECT state FROM key_vault.root_keys');
outcome_is(on_standby('regress_kv_admin'), 'error', 'another cluster\'s keyring: status', q{SELECT state FROM key_vault.status() WHERE item = 'root_key'});

put_ring(slurp_file(keyring_path($primary)));
outcome_is($reader, 'AIza-of-user_a', 'the right one: the same session reads', $get, 'user_a', 'gemini');
outcome_is($reader, 'AIza-of-user_b', 'the right one: require', $require, 'user_b', 'gemini');

# --- Older than the primary's, through a whole rotation

my $writer = session($primary, 'regress_kv_service');
my $idle = on_standby();
$idle->value($get, 'user_a', 'gemini');
my $second = $admin->value('SELECT key_vault.create_root_key()');
my $result = $admin->query('SELECT key_vault.activate_root_key($1)', $second);
is(warned($result, 'F0000'), 1, 'activating another root key warns that there are replicas');
my ($warning) = @{ $result->{notices} };
like("$warning->{message} $warning->{hint}", qr/$second .*Copy the keyring to every replica/, 'and says what to do');

$writer->value('SELECT key_vault.set($1, $2, $3)', 'user_a', 'gemini', 'AIza-second');
$primary->wait_for_catchup($standby);
fails_with($idle, 'too old: get of what was set since', 'F0000', qr/^root key $second is not in the keyring$/, $get, 'user_a', 'gemini');
outcome_is($idle, 'exa-key-of-user_a', 'too old: get of the rest', $get, 'user_a', 'exa');
$result = $idle->query(q{SELECT key_vault.get_all('user_a')});
is($result->{rows}[0][0], '{"exa": "exa-key-of-user_a", "gemini": null}', 'too old: get_all of the rest');
like($result->{notices}[0]{detail}, qr/root key $second is not in the keyring/, 'too old: get_all names what is missing');
outcome_is($idle, '{"gemini": "AIza-of-user_b"}', 'too old: get_all of another user', q{SELECT key_vault.get_all('user_b')});
outcome_is(on_standby('regress_kv_admin'), "standby $first, missing $second", 'too old: root_keys',
	q{SELECT string_agg(state || ' ' || id, ', ' ORDER BY activated_at) FROM key_vault.root_keys});

$admin->run('CALL key_vault.rotate_root_key()');
$admin->value('SELECT key_vault.retire_root_key($1)', $first);
$primary->wait_for_catchup($standby);
my @wrong = grep { $idle->outcome($get, @$_) ne 'F0000' } [ 'user_a', 'gemini' ], [ 'user_a', 'exa' ], [ 'user_b', 'gemini' ];
is_deeply(\@wrong, [], 'too old, after a rotation: nothing opens');
my $fresh = on_standby();
put_ring(slurp_file(keyring_path($primary)));
for my $session ($idle, $fresh, $reader)
{
	outcome_is($session, 'AIza-second', 'copied: a session reads without a restart', $get, 'user_a', 'gemini');
}
outcome_is($fresh, '{"exa": "exa-key-of-user_a", "gemini": "AIza-second"}', 'copied: get_all', q{SELECT key_vault.get_all('user_a')});
my $kept = join '', grep { !/^$first / } split /^/, slurp_file($ring);
put_ring($kept);
outcome_is(on_standby(), 'exa-key-of-user_a', 'the standby needs the retired root key no more', $get, 'user_a', 'exa');

# --- Promoted with a keyring that is too old

my $third = $admin->value('SELECT key_vault.create_root_key()');
$admin->query('SELECT key_vault.activate_root_key($1)', $third);
$writer->value('SELECT key_vault.set($1, $2, $3)', 'user_b', 'exa', 'exa-by-third');
my $complete = slurp_file(keyring_path($primary));
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');

my $service = session($standby, 'regress_kv_service');
outcome_is($service, 'AIza-second', 'promoted: what the old root key sealed opens', $get, 'user_a', 'gemini');
fails_with($service, 'promoted: the rest does not', 'F0000', qr/^root key $third is not in the keyring$/, $get, 'user_b', 'exa');
fails_with($service, 'promoted: nothing is sealed with an older root key', 'F0000', qr/^root key $third is not in the keyring$/,
	q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-third');
my $promoted_admin = session($standby);
fails_with($promoted_admin, 'promoted: no root key is made over what is missing', 'F0000', qr/^root key $third is not in the keyring$/,
	'SELECT key_vault.create_root_key()');
is(slurp_file($ring), $kept, 'promoted: and the keyring is as it was');
put_ring($complete);
outcome_is($service, '3', 'promoted, copied: set', q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-third');
outcome_is($service, 'AIza-third', 'promoted, copied: get', $get, 'user_a', 'gemini');
outcome_is($service, 'exa-by-third', 'promoted, copied: of what had not opened', $get, 'user_b', 'exa');
like($promoted_admin->outcome('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, 'promoted, copied: create_root_key');

done_testing();
