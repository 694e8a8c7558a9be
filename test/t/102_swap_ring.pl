# The keyring is replaced while sessions read and write: by one with other root keys, by
# garbage, by nothing, and back.  Errors are F0000, no answer is ever wrong, and everything
# goes on once the keyring is back.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{KV_LONG} ? 30 : 4;
my $workers = 6;

my $node = new_vault('swapped');
my $path = keyring_path($node);
my $good = slurp_file($path);

# As root keys are made: whole files, by rename
sub replace_keyring
{
	my ($content) = @_;
	unlink $path;
	return unless defined $content;
	append_to_file("$path.new", $content);
	chmod 0600, "$path.new";
	rename "$path.new", $path or die "rename: $!";
	return;
}

my $other = new_vault('other');
my $foreign = slurp_file(keyring_path($other));
$other->stop;

my %rings = (
	'other root keys' => $foreign,
	'garbage' => "garbage\n",
	'half a line' => substr($good, 0, length($good) - 60),
	'an empty file' => '',
	'no file' => undef,
	'both' => $foreign . $good,
	'the good one' => $good);

# --- One by one: what a session that has the ring says, and one that has it not

my $super = session($node);
$super->value(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-first');
for my $ring (sort keys %rings)
{
	my $expected = $ring =~ /^(both|the good one)$/ ? 'AIza-first' : 'F0000';
	my $before = session($node);
	is($before->value(q{SELECT key_vault.get('user_a', 'gemini')}), 'AIza-first', "$ring: before");
	replace_keyring($rings{$ring});
	outcome_is($before, 'AIza-first', "$ring: a session that has its keyring goes on", q{SELECT key_vault.get('user_a', 'gemini')});
	my $after = session($node);
	outcome_is($after, $expected, "$ring: a fresh session", q{SELECT key_vault.get('user_a', 'gemini')});
	outcome_is($after, $expected eq 'F0000' ? 'F0000' : '1', "$ring: and its set", q{SELECT key_vault.set('user_b', 'gemini', 'AIza-b')});
	outcome_is($after, 'F0000', "$ring: it makes no root key", 'SELECT key_vault.create_root_key()') if $expected eq 'F0000';
	replace_keyring($good);
	outcome_is($after, 'AIza-first', "$ring: once the good one is back, it goes on", q{SELECT key_vault.get('user_a', 'gemini')});
	$super->value(q{SELECT key_vault.delete('user_b', 'gemini')});
}

# --- A statement that is under way when another root key is made

for my $which ('first', 'next')
{
	my $session = session($node);
	my $n = $which eq 'first' ? 3 : 4;
	$session->value(q{SELECT key_vault.get('user_a', 'gemini')}) if $which eq 'next';
	$session->send(q{SELECT key_vault.set('user_' || n, 'gemini', 'AIza-under-way'), pg_sleep(0.4) FROM generate_series(1, $1::int) n}, $n);
	for my $made (2 .. $n)
	{
		sleep 0.4;
		$super->value('SELECT key_vault.activate_root_key(key_vault.create_root_key())');
	}
	my $result = $session->receive;
	is($result->{error}, undef, "a statement that uses the keyring for the $which time finds the root keys that were made meanwhile")
	  or diag($result->{error}{message});
	cmp_ok($super->value(q{SELECT count(DISTINCT root_key_id) FROM key_vault.secrets WHERE user_id ~ '^user_[0-9]+$'}), '>', 1,
		'and seals with them');
	$super->value(q{SELECT count(key_vault.forget('user_' || n)) FROM generate_series(1, $1::int) n}, $n);
}
$good = slurp_file($path);
@rings{'both', 'the good one'} = ($foreign . $good, $good);

# --- All at once: sessions come and go, read and write, while it is swapped

# A worker has users of its own.  An answer is good when it is the value that was last
# set by it, or, after a set that failed, the one before.
my @workers = map { { number => $_, users => {}, good => 0, failed => 0, states => {}, wrong => [] } } 1 .. $workers;

sub step
{
	my ($worker) = @_;
	my $user = "user_$worker->{number}_" . int rand 3;
	if (!$worker->{session} || rand() < 0.2)
	{
		$worker->{session}->close if $worker->{session};
		$worker->{session} = session($node);
	}
	$worker->{user} = $user;
	if (rand() < 0.4)
	{
		$worker->{value} = 'AIza-' . $user . '-' . int rand 1e9;
		$worker->{session}->send(q{SELECT key_vault.set($1, 'gemini', $2)}, $user, $worker->{value});
	}
	else
	{
		delete $worker->{value};
		$worker->{session}->send(q{SELECT key_vault.get($1, 'gemini')}, $user);
	}
	return;
}

sub judge
{
	my ($worker, $result) = @_;
	if (my $error = $result->{error})
	{
		$worker->{failed}++;
		$worker->{states}{ $error->{state} } = $error->{message};
		return;
	}
	$worker->{good}++;
	if (defined $worker->{value}) { $worker->{users}{ $worker->{user} } = $worker->{value}; return; }
	my $expected = $worker->{users}{ $worker->{user} };
	my $got = $result->{rows}[0][0];
	push @{ $worker->{wrong} }, [ $worker->{user}, $expected, $got ] if ($expected // '') ne ($got // '');
	return;
}

my $end = time + $seconds;
my $swaps = 0;
my @names = sort keys %rings;
step($_) for @workers;
my $next_swap = 0;
while (time < $end)
{
	if (time > $next_swap)
	{
		replace_keyring($swaps % 2 ? $good : $rings{ $names[ rand @names ] });
		$swaps++;
		$next_swap = time + 0.02;
	}
	for my $worker (@workers)
	{
		my $result = $worker->{session}->ready or next;
		judge($worker, $result);
		step($worker);
	}
	sleep 0.0005;
}
judge($_, $_->{session}->receive) for @workers;
replace_keyring($good);

my %totals = (good => 0, failed => 0);
my (%states, @wrong);
for my $worker (@workers)
{
	$totals{$_} += $worker->{$_} for keys %totals;
	%states = (%states, %{ $worker->{states} });
	push @wrong, @{ $worker->{wrong} };
}
note "$swaps swaps, $totals{good} calls answered, $totals{failed} refused";
is_deeply(\@wrong, [], 'no answer was wrong');
is(join(',', sort keys %states), 'F0000', 'every error was about the keyring') or diag(explain(\%states));
cmp_ok($totals{good}, '>', 100, 'calls were answered');
cmp_ok($totals{failed}, '>', 10, 'and others refused');

# --- Afterwards

my @lost;
for my $worker (@workers)
{
	for my $user (sort keys %{ $worker->{users} })
	{
		my $got = $worker->{session}->outcome(q{SELECT key_vault.get($1, 'gemini')}, $user);
		push @lost, "$user: $got" if $got ne $worker->{users}{$user};
	}
}
is_deeply(\@lost, [], 'the sessions from meanwhile find what was set last');
outcome_is(session($node), '1', 'nothing was sealed with another root key',
	q{SELECT count(DISTINCT root_key_id) FROM key_vault.secrets WHERE user_id LIKE 'user\__\__'});
outcome_is(session($node), '0', 'status finds nothing wrong', q{SELECT count(*) FROM key_vault.status() WHERE state = 'error'});

done_testing();
