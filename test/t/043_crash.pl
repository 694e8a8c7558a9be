# A server that dies at the worst moment: while sessions set keys and root keys are made
# and activated.  After the restart every secret opens that was acknowledged.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Select;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{KV_LONG} ? 30 : 4;
my $writers = 4;

# The server stays down after a crash, as the test's framework likes it
my $node = new_vault('crashed', conf => "log_statement = none\nmax_wal_size = 64MB\n");
add_role($node, 'regress_kv_service', 'service');

my (%stored, %attempted, $acknowledged);
my $number = 0;

# Starts a set of the next key of a writer's user; large ones have TOAST in the middle of it.
sub begin_set
{
	my ($writer) = @_;
	my $key = 'key-' . $number++ . '-' . ('k' x (rand() < 0.1 ? 20_000 : 30));
	$attempted{ $writer->{user_name} } = $key;
	$writer->send(q{SELECT key_vault.set($1, 'gemini', $2)}, $writer->{user_name}, $key);
	return;
}

# Sets keys and makes root keys until the time is up, then kills; sessions are in the
# middle of whatever they do.
sub load_until_killed
{
	my ($kill, $delay) = @_;
	my @sessions;
	for my $n (1 .. $writers)
	{
		my $writer = session($node, 'regress_kv_service');
		$writer->{user_name} = "user_$n";
		push @sessions, $writer;
		begin_set($writer);
	}
	my $admin = session($node);
	$admin->{user_name} = '';
	my $admin_step = 'SELECT key_vault.activate_root_key(key_vault.create_root_key())';
	$admin->send($admin_step);
	push @sessions, $admin;

	my $until = time + $delay;
	my $select = IO::Select->new(map { $_->socket } @sessions);
	while (time < $until)
	{
		$select->can_read(0.01);
		for my $session (@sessions)
		{
			my $result = $session->ready or next;
			die $result->{error}{message} if $result->{error};
			if ($session == $admin) { $admin->send($admin_step); next; }
			$stored{ $session->{user_name} } = $attempted{ $session->{user_name} };
			$acknowledged++;
			begin_set($session);
		}
	}
	$kill->($sessions[ rand @sessions ]);

	# what was acknowledged before the end came
	for my $session (@sessions)
	{
		my $result = $session->receive;
		$stored{ $session->{user_name} } = $attempted{ $session->{user_name} } if $session != $admin && !$result->{error};
	}
	return;
}

sub postmaster_pid
{
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	return $pid;
}

# The framework has to know that the server is gone.
sub wait_for_end
{
	my ($pid) = @_;
	for (1 .. 1000)
	{
		last unless kill 0, $pid;
		sleep 0.05;
	}
	$node->{_pid} = undef;
	return;
}

# Sessions of the server that was killed may take a moment to notice.
sub start_again
{
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);
		sleep 0.1;
	}
	BAIL_OUT('the server does not start');
}

my %kills = (
	'kill -9 of a session' => sub {
		my ($victim) = @_;
		my $pid = postmaster_pid();
		kill 'KILL', $victim->pid;
		wait_for_end($pid);
	},
	'kill -9 of the postmaster' => sub {
		my $pid = postmaster_pid();
		$node->kill9;
		wait_for_end($pid);
	},
	'an immediate stop' => sub { $node->stop('immediate'); },
	'kill -9 of the writer of the log' => sub {
		my $pid = postmaster_pid();
		my $writer = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
		kill 'KILL', $writer;
		wait_for_end($pid);
	});
my @names = sort keys %kills;

for my $round (1 .. $rounds)
{
	my $name = $names[ $round % @names ];
	my $before = $acknowledged // 0;
	load_until_killed($kills{$name}, 0.1 + rand 0.4);
	cmp_ok($acknowledged - $before, '>', $writers, "$name: sessions had set keys");
	start_again();

	my $session = session($node, 'regress_kv_service');
	my @wrong;
	for my $user (sort keys %stored)
	{
		my $key = $session->outcome(q{SELECT key_vault.get($1, 'gemini')}, $user);
		# the last one may have been committed and its acknowledgment lost
		push @wrong, "$user: " . substr($key, 0, 40) unless $key eq $stored{$user} || $key eq $attempted{$user};
		$stored{$user} = $key;
	}
	is_deeply(\@wrong, [], "$name: every secret opens and is the last one");

	my $super = session($node);
	is($super->value(q{SELECT count(*) FROM key_vault.root_keys WHERE state = 'missing'}), 0, "$name: no root key is missing");
	is($super->value(q{SELECT count(*) FROM key_vault.root_keys WHERE state = 'active'}), 1, "$name: one is active");
	is($super->value(q{SELECT string_agg(DISTINCT state, ',') FROM key_vault.status() WHERE item IN ('root_key', 'keyring', 'sealed_rows')}),
		'ok', "$name: status");
	# every version that is kept, not only the current one
	is($super->value(q{SELECT max(n) FROM (SELECT count(*) AS n FROM key_vault.secrets GROUP BY user_id) AS c}) <= 3, 1, "$name: old versions were trimmed");
	my $restored = $super->query(q{SELECT key_vault.rollback(user_id, provider, min(version)) FROM key_vault.secrets GROUP BY user_id, provider});
	is($restored->{error}, undef, "$name: the oldest version of each opens");
	for my $user (sort keys %stored)
	{
		$stored{$user} = $attempted{$user} = $session->value(q{SELECT key_vault.get($1, 'gemini')}, $user);
	}
	like($super->value('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, "$name: root keys are made again");
}
note("$acknowledged keys were set");

done_testing();
