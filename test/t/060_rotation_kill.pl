# kill -9 of the backend that rotates, and of the postmaster, at random points of a rotation.
# Afterwards every secret can be read, the view tells that the rotation was cut short, and
# calling it again does the rest.  KV_LONG: twenty points of each kind; those before the
# first batch and after the last one do not count.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $points = $ENV{KV_LONG} ? 20 : 2;
my $secrets = 3000;
my $rotate = 'CALL key_vault.rotate_root_key(20)';

my $node = new_vault('rotation_kill', conf => "restart_after_crash = on\n");

# The keys of even users have been set twice, and the first version is kept
$node->safe_psql('postgres', qq{
	SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-of-user-' || n)) FROM generate_series(1, $secrets) n;
	SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-2-of-user-' || n)) FROM generate_series(2, $secrets, 2) n});
my $rows = 1.5 * $secrets;

sub activate_new_root_key
{
	return $node->safe_psql('postgres', q{SELECT key_vault.create_root_key() AS id \gset
		SELECT key_vault.activate_root_key(:'id') \g /dev/null
		\echo :id});
}

sub everything_reads
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', qq{
		SELECT count(*), (SELECT count(*) FROM key_vault.secrets) FROM generate_series(1, $secrets) n
		WHERE key_vault.get('user_' || n, 'exa') = CASE WHEN n % 2 = 0 THEN 'exa-key-2-of-user-' ELSE 'exa-key-of-user-' END || n}),
		"$secrets|$rows", "$name: every secret can be read");
	return;
}

sub start_again
{
	for (1 .. 600)
	{
		return if $node->start(fail_ok => 1);
		$node->{_pid} = undef;
		sleep 0.05;
	}
	BAIL_OUT('the server does not start');
}

sub wait_for_server
{
	for (1 .. 600)
	{
		return if eval { session($node)->close; 1 };
		sleep 0.05;
	}
	BAIL_OUT('the server did not come back');
}

my %kills = (
	backend => sub {
		my ($session) = @_;
		my $bystander = session($node);
		kill 'KILL', $session->pid;
		# the postmaster takes the server down, and so ends every session, and up again
		until ($bystander->{closed}) { $bystander->ready; sleep 0.001; }
	},
	postmaster => sub {
		my ($session) = @_;
		# without its postmaster, a backend would finish the statement
		$node->kill9;
		kill 'KILL', $session->pid;
		start_again();
	});

# How long one takes that nobody kills
activate_new_root_key();
my $begun = time;
$node->safe_psql('postgres', $rotate);
my $duration = time - $begun;
everything_reads('not killed');

my %within = map { $_ => 0 } keys %kills;
my $kills = 0;
for my $what (sort keys %kills)
{
	for (my $point = 1; $within{$what} < $points && $point <= 10 * $points; $point++)
	{
		$kills++;
		my $root_key = activate_new_root_key();
		my $session = session($node);
		my $delay = rand $duration;
		$session->send($rotate);
		sleep $delay;
		$kills{$what}->($session);
		wait_for_server();

		my $name = sprintf 'point %d, %s killed after %.0f ms', $point, $what, $delay * 1000;
		everything_reads($name);
		my $resealed = $node->safe_psql('postgres', "SELECT count(*) FROM key_vault.secrets WHERE root_key_id = '$root_key'");
		my ($state, $done) = split /\|/,
		  $node->safe_psql('postgres', "SELECT state, done FROM key_vault.rotation_progress WHERE root_key_id = '$root_key'");
		# at the very start, the progress is that of the rotation before
		is($done // 0, $resealed, "$name: the view tells how many are re-sealed ($resealed)");
		is($state, $resealed == $rows && $state eq 'finished' ? 'finished' : 'interrupted', "$name: and that it was cut short") if defined $state;
		$within{$what}++ if $resealed > 0 && $resealed < $rows;

		$session = session($node);
		my $result = $session->query($rotate);
		is($result->{error}, undef, "$name: it goes on");
		is($session->value('SELECT total FROM key_vault.rotation_progress'), $rows - $resealed, "$name: with what is left");
		is($session->value("SELECT count(*) FROM key_vault.secrets WHERE root_key_id <> '$root_key'"), 0, "$name: to the end");
		everything_reads("$name, rotated");
	}
}
note sprintf '%d kills, at a rotation that takes %.0f ms', $kills, $duration * 1000;
is($within{$_}, $points, "so many kills of the $_ were within a rotation") for sort keys %within;

# Nothing but the newest root key is needed
$node->safe_psql('postgres', q{SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys WHERE state <> 'active'});
is($node->safe_psql('postgres', q{SELECT state, sum(secrets) FROM key_vault.root_keys GROUP BY state ORDER BY state}),
	"active|$rows\nretired|0", 'all other root keys can be retired');

# The versions below were rotated, too
is($node->safe_psql('postgres', qq{
	SELECT count(key_vault.rollback('user_' || n, 'exa', 1)) FROM generate_series(2, $secrets, 2) n;
	SELECT count(*) FROM generate_series(1, $secrets) n WHERE key_vault.get('user_' || n, 'exa') = 'exa-key-of-user-' || n}),
	$secrets / 2 . "\n$secrets", 'older versions can be brought back');

done_testing();
