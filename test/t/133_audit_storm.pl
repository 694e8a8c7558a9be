# Many connections ask for keys while a checker looks on: each key that was handed out has its
# record, once; numbers have no gaps, and the chain verifies.  With durable a record is there before its
# key is.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Select;
use KeyVaultTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storable qw(store retrieve);
use Test::More;
use Time::HiRes qw(time);

my $processes = 4;
my $connections = $ENV{KV_LONG} ? 200 : 32;
my $seconds = $ENV{KV_LONG} ? 60 : 4;
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = new_vault('storm', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = durable\nmax_connections = 250\nlog_statement = none\n");
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', q{SELECT count(key_vault.set('user_' || n, 'gemini', 'AIza-of-user-' || n)) FROM generate_series(1, 1000) n});

# Beside a key, each statement asks for one of a user of its own, so that its record can be told
# from all others
my $number = 0;
sub begin
{
	my ($client, $process, $setting) = @_;
	$client->{call} = "$setting-$process-" . ++$number;
	$client->{session}->send(q{SELECT key_vault.get('user_' || $1, 'gemini') IS NOT NULL, key_vault.get($2, 'gemini')}, 1 + int rand 1000, $client->{call});
	return;
}

sub run_share
{
	my ($process, $setting) = @_;
	my %clients = map { my $session = session($node, 'regress_kv_service'); ($session->socket => { session => $session }) } 1 .. $connections / $processes;
	my $checker = session($node);
	my (%answered, @wrong);
	my $select = IO::Select->new(map { $_->{session}->socket } values %clients);
	my $end = time + $seconds;
	begin($_, $process, $setting) for values %clients;
	while ($select->count)
	{
		for my $socket ($select->can_read(10))
		{
			my $client = $clients{$socket};
			my $result = $client->{session}->ready or next;
			push @wrong, "$result->{error}{state} $result->{error}{message}" if $result->{error};
			push @wrong, "$client->{call}: no key" if !$result->{error} && $result->{rows}[0][0] ne 't';
			$answered{ $client->{call} } = 1;
			# of some it is asked at once whether the record is on its way, or there
			if ($setting eq 'durable' && keys(%answered) % 50 == 0)
			{
				my $there = $checker->value('SELECT count(*) FROM key_vault.audit_log WHERE user_id = $1', $client->{call});
				push @wrong, "$client->{call}: $there records" if $there != 1;
			}
			if (time < $end && @wrong < 10) { begin($client, $process, $setting); }
			else { $select->remove($socket); }
		}
	}
	store({ answered => [ keys %answered ], wrong => \@wrong }, "$folder/$setting-$process");
	return;
}

for my $setting ('durable', 'async')
{
	$node->safe_psql('postgres', "LOAD 'key_vault'; ALTER SYSTEM SET key_vault.audit = $setting");
	$node->restart;
	my $gets_before = $node->safe_psql('postgres', q{SELECT count(*) FROM key_vault.audit_log WHERE action = 'get' AND outcome = 'ok'});
	my @children;
	for my $process (1 .. $processes)
	{
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			eval { run_share($process, $setting); 1 } or warn $@;
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
	waitpid $_, 0 for @children;
	$node->restart;

	my (@answered, @wrong);
	for my $process (1 .. $processes)
	{
		my $share = -e "$folder/$setting-$process" ? retrieve("$folder/$setting-$process") : undef;
		ok($share, "$setting: process $process came to its end") or next;
		push @answered, @{ $share->{answered} };
		push @wrong, @{ $share->{wrong} };
	}
	is_deeply(\@wrong, [], "$setting: every answer was right");
	note sprintf '%s: %d connections, %d s, %.0f records a second', $setting, $connections, $seconds, 2 * @answered / $seconds;
	cmp_ok(scalar @answered, '>', 200, 'and there were many');
	my %records = map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', qq{SELECT user_id, count(*) FROM key_vault.audit_log WHERE user_id LIKE '$setting-%' GROUP BY 1});
	is_deeply([ grep { ($records{$_} // 0) != 1 } @answered ], [], "$setting: each call has one record");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM key_vault.audit_log WHERE action = 'get' AND outcome = 'ok'}) - $gets_before,
		scalar @answered, "$setting: each key has one");
	is($node->safe_psql('postgres', 'SELECT (SELECT count(*) = max(number) FROM key_vault.audit_log), (SELECT count(*) FROM key_vault.verify_audit())'),
		't|0', "$setting: numbers have no gaps, and the chain verifies");
}
unlike(slurp_file($node->logfile), qr/deadlock detected|PANIC|server process .* was terminated/, 'without a deadlock or a crash');

$node->stop;
done_testing();
