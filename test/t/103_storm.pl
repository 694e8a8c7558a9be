# Hundreds of connections set and get the same users' keys at once.  A checker knows every
# value that was ever sent: each get returns one that was really set for this user and
# provider, and none older than what was confirmed before it began; no set is lost, no
# version is given twice.
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

# Clients run in processes of their own, each with its own users, so that more than one
# call is on its way to the server at any time; within a process connections compete for the same keys
my $processes = 4;
my $connections = $ENV{KV_LONG} ? 200 : 40;
my $seconds = $ENV{KV_LONG} ? 60 : 5;
my $users = 5;
my @providers = qw(gemini openai exa);

my $node = new_vault('storm', conf => "max_connections = 250\nlog_statement = none\n");
add_role($node, 'regress_kv_service', 'service');
my $folder = PostgreSQL::Test::Utils::tempdir;

# By name, and by an identity that lasts as long as the transaction
my %sql = (
	get => [ q{SELECT key_vault.get($1, $2)},
		q{SELECT key_vault.get(NULL, $2) FROM set_config('key_vault.user_id', $1, true)} ],
	set => [ q{SELECT key_vault.set($1, $2, $3)},
		q{SELECT key_vault.set(NULL, $2, $3) FROM set_config('key_vault.user_id', $1, true)} ]);

# --- One process's share

# What is known of a secret: values by what was sent ({ version => } once confirmed), and
# the highest version that is confirmed
my (%secrets, @errors, %count);

sub complain
{
	push @errors, join ' ', map { $_ // 'NULL' } @_ if @errors < 20;
	$count{wrong}++;
	return;
}

sub begin
{
	my ($client, $process) = @_;
	my $user = "user_${process}_" . int rand $users;
	my $provider = $providers[ rand @providers ];
	my $secret = $secrets{"$user/$provider"} //= { sent => {}, confirmed => 0, versions => {} };
	my $call = $client->{call} = {
		what => rand() < 0.3 ? 'set' : 'get',
		user => $user,
		provider => $provider,
		secret => $secret,
		floor => $secret->{confirmed} };
	my $sql = $sql{ $call->{what} }[ rand 2 ];
	my @arguments = ($user, $provider);
	if ($call->{what} eq 'set')
	{
		$call->{value} = "AIza-$user-$provider-" . ++$count{sent};
		$secret->{sent}{ $call->{value} } = {};
		push @arguments, $call->{value};
	}
	$client->{session}->send($sql, @arguments);
	return;
}

sub check_set
{
	my ($call, $version) = @_;
	my $secret = $call->{secret};
	complain('version given twice', $call->{user}, $call->{provider}, $version) if $secret->{versions}{$version}++;
	complain('version too low', $call->{user}, $call->{provider}, $version, $call->{floor}) if $version <= $call->{floor};
	my $sent = $secret->{sent}{ $call->{value} };
	$sent->{version} = $version;
	complain('older than what was read before', $call->{value}, $version, $sent->{at_least})
	  if defined $sent->{at_least} && $version < $sent->{at_least};
	if ($version > $secret->{confirmed})
	{
		$secret->{confirmed} = $version;
		$secret->{current} = $call->{value};
	}
	return;
}

sub check_get
{
	my ($call, $value) = @_;
	my $secret = $call->{secret};
	if (!defined $value)
	{
		complain('lost', $call->{user}, $call->{provider}, $call->{floor}) if $call->{floor} > 0;
		return;
	}
	my $sent = $secret->{sent}{$value};
	if (!$sent) { complain('never set', $call->{user}, $call->{provider}, $value); }
	elsif (!defined $sent->{version})
	{
		# committed, but not confirmed yet: its version will have to be above what is known now
		$sent->{at_least} = $call->{floor} if ($sent->{at_least} // 0) < $call->{floor};
	}
	elsif ($sent->{version} < $call->{floor}) { complain('stale', $value, $sent->{version}, $call->{floor}); }
	return;
}

sub finish
{
	my ($client, $result) = @_;
	my $call = $client->{call};
	$count{ $call->{what} }++;
	if ($result->{error}) { complain($call->{what}, $result->{error}{state}, $result->{error}{message}); }
	elsif ($call->{what} eq 'set') { check_set($call, $result->{rows}[0][0]); }
	else { check_get($call, $result->{rows}[0][0]); }
	return;
}

sub run_share
{
	my ($process) = @_;
	srand $process;
	my %clients = map { my $session = session($node, 'regress_kv_service'); ($session->socket => { session => $session }) }
	  1 .. $connections / $processes;
	my $select = IO::Select->new(map { $_->{session}->socket } values %clients);
	my $end = time + $seconds;
	begin($_, $process) for values %clients;
	while ($select->count)
	{
		for my $socket ($select->can_read(10))
		{
			my $client = $clients{$socket};
			my $result = $client->{session}->ready or next;
			finish($client, $result);
			if (time < $end) { begin($client, $process); }
			else { $select->remove($socket); }
		}
	}

	# What is there in the end
	my $session = (values %clients)[0]{session};
	for my $name (sort keys %secrets)
	{
		my ($user, $provider) = split m{/}, $name;
		my $secret = $secrets{$name};
		my $got = $session->outcome($sql{get}[0], $user, $provider);
		complain('in the end', $name, $got, $secret->{current}) if $got ne ($secret->{current} // 'NULL');
		my @missing = grep { !$secret->{versions}{$_} } 1 .. $secret->{confirmed};
		complain('no set has version', $name, @missing) if @missing;
		$count{secrets}++;
	}
	store({ count => \%count, errors => \@errors }, "$folder/share_$process");
	return;
}

my @children;
for my $process (1 .. $processes)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		eval { run_share($process); 1 } or warn $@;
		POSIX::_exit(0);
	}
	push @children, $pid;
}
waitpid $_, 0 for @children;

# --- All of it

my %total = (wrong => 0);
my @complaints;
for my $process (1 .. $processes)
{
	my $share = -e "$folder/share_$process" ? retrieve("$folder/share_$process") : undef;
	ok($share, "process $process came to its end") or next;
	$total{$_} += $share->{count}{$_} for keys %{ $share->{count} };
	push @complaints, @{ $share->{errors} };
}
note sprintf '%d connections, %d s: %d gets and %d sets of %d secrets, %.0f calls a second',
  $connections, $seconds, @total{qw(get set secrets)}, ($total{get} + $total{set}) / $seconds;
is_deeply(\@complaints, [], 'every answer was right');
is($total{wrong}, 0, 'all of them');
is($total{secrets}, $processes * $users * @providers, 'every secret was in play');
cmp_ok($total{set}, '>', 10 * $total{secrets}, 'and was set many times');
my $super = session($node);
is($super->value('SELECT sum(version) FROM key_vault.inventory WHERE is_current'), $total{set},
	'as many versions were given as sets were confirmed');
is($super->value('SELECT max(n) FROM (SELECT count(*) AS n FROM key_vault.secrets GROUP BY user_id, provider, label) s'), 3,
	'and no more are kept than shall be');
unlike(slurp_file($node->logfile), qr/deadlock detected|PANIC|server process .* was terminated/, 'without a deadlock or a crash');

done_testing();
