# kill -9 of a backend or of the postmaster at random moments, while sessions store keys,
# import them and make root keys.  Afterwards the keyring can be read, every root key that
# was confirmed is in it, every secret that was confirmed opens, imports are whole or not
# there, and work goes on.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $points = $ENV{KV_LONG} ? 20 : 4;
my $batch = 200;    # rows of an import

my $node = new_vault('killed', conf => "restart_after_crash = on\nlog_statement = none\n");
my $path = keyring_path($node);

# What was confirmed: values of users (and the one that may have come through unconfirmed),
# imports by name, root keys
my (%values, %pending, %imports, %root_keys);
my $counter = 0;
my %survived;

# A worker sends its next statement, and takes in what became of the one before.
my %workers = (
	set => {
		begin => sub {
			my ($self) = @_;
			my $user = 'user_' . int rand 10;
			$pending{$user} = "AIza-$user-" . ++$counter;
			$self->{user} = $user;
			$self->{session}->send(q{SELECT key_vault.set($1, 'gemini', $2)}, $user, $pending{$user});
		},
		confirmed => sub { my ($self) = @_; $values{ $self->{user} } = delete $pending{ $self->{user} }; } },
	import => {
		begin => sub {
			my ($self) = @_;
			$self->{import} = 'import_' . ++$counter;
			$imports{ $self->{import} } = 'sent';
			$self->{session}->send(
				q{SELECT * FROM key_vault.import_keys($$SELECT '} . $self->{import} . q{_' || n, 'exa', 'exa-key-} . $self->{import}
				  . q{-' || n FROM generate_series(1, } . $batch . q{) n$$)});
		},
		confirmed => sub { my ($self) = @_; $imports{ $self->{import} } = 'confirmed'; } },
	root_key => {
		begin => sub { my ($self) = @_; $self->{session}->send('SELECT key_vault.create_root_key()'); },
		confirmed => sub {
			my ($self, $result) = @_;
			$root_keys{ $result->{rows}[0][0] } = 1;
			$self->{session}->query('SELECT key_vault.activate_root_key($1)', $result->{rows}[0][0]);
		} });

sub take_result
{
	my ($worker, $result) = @_;
	if (my $error = $result->{error})
	{
		# the connection ended: anything else is a fault of ours
		die "$error->{state}: $error->{message}\n" unless $error->{state} =~ /^(08006|57P0[123])$/;
		return 0;
	}
	$workers{ $worker->{kind} }{confirmed}->($worker, $result);
	return 1;
}

# Lets all kinds of work run until the moment comes, and kills
sub work_until_killed
{
	my ($kill, $delay) = @_;
	my @running = map { { kind => $_, session => session($node) } } sort keys %workers;
	$workers{ $_->{kind} }{begin}->($_) for @running;
	my $moment = time + $delay;
	my $killed = 0;
	while (@running)
	{
		if (!$killed && time > $moment)
		{
			$kill->(@running);
			$killed = 1;
		}
		for my $worker (@running)
		{
			my $result = $worker->{session}->ready or next;
			if (take_result($worker, $result) && !$killed) { $workers{ $worker->{kind} }{begin}->($worker); }
			else { $worker->{ended} = 1; }
		}
		@running = grep { !$_->{ended} } @running;
		sleep 0.0005;
	}
	return;
}

sub check_everything
{
	my ($name) = @_;
	my $session = session($node);
	my @wrong;

	my $ring = slurp_file($path);
	my @in_ring = $ring =~ /^([0-9a-f]{16}) [A-Za-z0-9+\/]{43}= \S+Z/mg;
	push @wrong, 'the keyring has lines that are not whole' if grep { !/^(#.*|[0-9a-f]{16} [A-Za-z0-9+\/]{43}= \S+Z.*|)$/ } split /\n/, $ring;
	my %in_ring = map { $_ => 1 } @in_ring;
	push @wrong, map { "root key $_ is not in the keyring" } grep { !$in_ring{$_} } sort keys %root_keys;
	my $states = $session->value(q{SELECT string_agg(DISTINCT state, ',') FROM key_vault.root_keys});
	push @wrong, "root keys are $states" if $states !~ /^active(,standby)?$/;
	my $registered = $session->value('SELECT count(*) FROM key_vault.root_keys WHERE id = ANY ($1)', '{' . join(',', keys %root_keys) . '}');
	push @wrong, "$registered root keys are registered" if $registered != keys %root_keys;

	for my $user (map { "user_$_" } 0 .. 9)
	{
		my $got = $session->outcome(q{SELECT key_vault.get($1, 'gemini')}, $user);
		my $unconfirmed = delete $pending{$user};
		$values{$user} = $got if defined $unconfirmed && $got eq $unconfirmed;
		push @wrong, "$user: $got instead of " . ($values{$user} // 'NULL') if $got ne ($values{$user} // 'NULL');
	}
	for my $import (sort keys %imports)
	{
		my $rows = $session->value(q{SELECT count(*) FROM generate_series(1, $2::int) n
			WHERE key_vault.get($1 || '_' || n, 'exa') = 'exa-key-' || $1 || '-' || n}, $import, $batch);
		push @wrong, "$import: $rows rows" unless $rows == $batch || ($rows == 0 && $imports{$import} eq 'sent');
		$session->value(q{SELECT count(key_vault.forget($1 || '_' || n)) FROM generate_series(1, $2::int) n}, $import, $batch);
	}
	%imports = ();
	outcome_is($session, '0', "$name: every row of every table opens", q{SELECT count(*) FROM key_vault.inventory i
		WHERE i.is_current AND key_vault.get(i.user_id, i.provider, i.label) IS NULL});
	return is_deeply(\@wrong, [], "$name: nothing is lost");
}

# The processes of the server that was killed take a moment to notice
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
		return 1 if eval { session($node)->close; 1 };
		sleep 0.05;
	}
	BAIL_OUT('the server did not come back');
}

my $killed;    # the backend
my %kills = (
	backend => sub {
		my @running = @_;
		my $victim = $running[ rand @running ];
		$survived{ $victim->{kind} }++;
		$killed = $victim->{session}->pid;
		kill 'KILL', $killed;
	},
	postmaster => sub {
		$survived{postmaster}++;
		$node->kill9;
	});

check_everything('before');
for my $point (1 .. $points)
{
	for my $what (sort keys %kills)
	{
		# Early points hit the first statements, later ones hit them under way
		my $delay = rand(0.04 * $point);
		my $name = sprintf 'point %d, %s killed after %.0f ms', $point, $what, $delay * 1000;
		work_until_killed($kills{$what}, $delay);
		start_again() if $what eq 'postmaster';
		# until the server has noticed, it takes connections that it then ends
		$node->wait_for_log(qr/\(PID $killed\) was terminated/) if $what eq 'backend';
		wait_for_server();
		check_everything($name);
	}
}
note 'killed: ' . join(', ', map { "$_ $survived{$_} times" } sort keys %survived) . '; '
  . keys(%root_keys) . " root keys, $counter sets and imports";
ok(keys %root_keys > 0, 'root keys were made meanwhile');
ok(keys %values > 0, 'and keys were stored');

# What a killed writer leaves beside the keyring is in nobody's way
my $session = session($node);
my $last = $session->value('SELECT key_vault.create_root_key()');
like($last, qr/^[0-9a-f]{16}$/, 'a root key can be made');
is_deeply([ grep { !/^\Q$path\E(\.lock)?$/ } glob("$path*") ], [], 'which clears away what was left');
$session->value('SELECT key_vault.activate_root_key($1)', $last);
$session->run('CALL key_vault.rotate_root_key()');
is($session->value(q{SELECT count(*) FROM key_vault.root_keys WHERE secrets > 0}), 1, 'and all can be re-sealed with it');
check_everything('in the end');

done_testing();
