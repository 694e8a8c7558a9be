# Calls that are cut short: by a cancel, a timeout, an error or a kill, also while they
# run as the extension's owner.  The session is who it was, and the next call works.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{KV_LONG} ? 30 : 1;    # of each kind of random cancel
my $seconds_more = 120;                 # at most, until there were enough

my $node = new_vault('interrupted');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
my $super = session($node);
$super->value(q{SELECT key_vault.set(u, 'gemini', 'AIza-first') FROM unnest('{user_a,user_b}'::text[]) u});

my $set = q{SELECT key_vault.set($1, 'gemini', $2)};
my $get = q{SELECT key_vault.get($1, 'gemini')};

# What must hold of a session after any call, whatever became of the call.
my $who = q{SELECT concat_ws('|', current_user, session_user, coalesce(key_vault.current_user_id(), '-'),
	(SELECT count(DISTINCT user_id) FROM key_vault.secrets), (SELECT has_table_privilege(oid, 'INSERT') FROM pg_class WHERE oid::regclass::text = 'key_vault_data.secrets'))};

sub is_unchanged
{
	my ($session, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, $expected, "$name: the session is who it was", $who);
	# in a security-restricted operation this would fail
	is($session->simple('CREATE TEMP TABLE scratch (n int); DROP TABLE scratch')->{error}, undef,
		"$name: and under no restriction");
	return;
}

my %as = (
	regress_kv_service => 'regress_kv_service|regress_kv_service|-|0|f',
	regress_kv_tenant => 'regress_kv_tenant|regress_kv_tenant|user_a|1|f');

sub wait_until_blocked
{
	my ($session) = @_;
	for (1 .. 1000)
	{
		return if $super->value(q{SELECT coalesce(wait_event_type, '') FROM pg_stat_activity WHERE pid = $1::int}, $session->pid) eq 'Lock';
		sleep 0.01;
	}
	die 'it does not wait';
}

# --- Interrupted while it waits for a lock, as the owner

my %interrupts = (
	cancel => [ undef, '57014', sub { $super->value('SELECT pg_cancel_backend($1::int)', $_[0]->pid) } ],
	statement_timeout => [ q{SET statement_timeout = '100ms'}, '57014' ],
	lock_timeout => [ q{SET lock_timeout = '100ms'}, '55P03' ]);
my %blockers = (
	'the table' => 'LOCK TABLE key_vault_data.secrets IN SHARE MODE',
	'the same version, which another transaction has set' => q{SELECT key_vault.set('user_a', 'gemini', 'AIza-blocking')});

for my $role (sort keys %as)
{
	for my $interrupt (sort keys %interrupts)
	{
		my ($prepare, $state, $act) = @{ $interrupts{$interrupt} };
		for my $blocker (sort keys %blockers)
		{
			my $name = "$role, $interrupt while set waits for $blocker";
			my $session = session($node, $role);
			my $other = session($node);
			$other->run('BEGIN', $blockers{$blocker});
			$session->value($get, 'user_a');

			$session->run($prepare) if $prepare;
			$session->send($set, 'user_a', 'AIza-interrupted');
			if ($act) { wait_until_blocked($session); $act->($session); }
			is($session->receive->{error}{state}, $state, $name);
			$session->run('SET statement_timeout = 0', 'SET lock_timeout = 0');
			is_unchanged($session, $as{$role}, $name);
			outcome_is($session, 'AIza-first', "$name: get", $get, 'user_a');

			# the same inside a subtransaction
			$session->run('BEGIN', 'SAVEPOINT s');
			$session->run("SET LOCAL $1") if $prepare && $prepare =~ /SET (.*)/;
			$session->send($set, 'user_a', 'AIza-interrupted');
			if ($act) { wait_until_blocked($session); $act->($session); }
			is($session->receive->{error}{state}, $state, "$name, in a savepoint");
			$session->run('ROLLBACK TO s', 'SET LOCAL statement_timeout = 0', 'SET LOCAL lock_timeout = 0');
			is_unchanged($session, $as{$role}, "$name, in a savepoint");
			outcome_is($session, 'AIza-first', "$name, in a savepoint: get", $get, 'user_a');
			$session->run('COMMIT');

			$other->run('ROLLBACK');
		}
	}
}

# A lock that get waits for
{
	my $session = session($node, 'regress_kv_service');
	my $other = session($node);
	for my $loaded (0, 1)
	{
		$other->run('BEGIN', 'LOCK TABLE key_vault_data.secrets IN ACCESS EXCLUSIVE MODE');
		$session->send($get, 'user_a');
		wait_until_blocked($session);
		$super->value('SELECT pg_cancel_backend($1::int)', $session->pid);
		is($session->receive->{error}{state}, '57014', 'cancel while get waits, ' . ($loaded ? 'later' : 'the first call'));
		$other->run('ROLLBACK');
		is_unchanged($session, $as{regress_kv_service}, 'cancel while get waits');
		outcome_is($session, 'AIza-first', 'get after it', $get, 'user_a');
	}
}

# --- Errors inside the owner's part

$super->run(q{CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'KV001'; END $$},
	q{CREATE FUNCTION fail_policy(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'KV002'; END $$});
my @faults = (
	[ 'an error in a trigger', 'KV001', 'CREATE TRIGGER fail BEFORE INSERT OR DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION fail()',
		'DROP TRIGGER fail ON key_vault_data.secrets' ],
	[ 'an error in a policy', 'KV002', 'CREATE POLICY fail ON key_vault_data.secrets FOR INSERT WITH CHECK (fail_policy(user_id)); '
		  . 'CREATE POLICY fail2 ON key_vault_data.secrets AS RESTRICTIVE FOR INSERT WITH CHECK (fail_policy(user_id));'
		  . 'CREATE POLICY fail3 ON key_vault_data.secrets AS RESTRICTIVE FOR DELETE USING (fail_policy(user_id));',
		'DROP POLICY fail ON key_vault_data.secrets; DROP POLICY fail2 ON key_vault_data.secrets; DROP POLICY fail3 ON key_vault_data.secrets' ],
	[ 'a constraint', '23514', q{ALTER TABLE key_vault_data.secrets ADD CONSTRAINT fail CHECK (version < 0) NOT VALID},
		'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT fail' ]);

for my $fault (@faults)
{
	my ($name, $state, $make, $unmake) = @$fault;
	my @sessions = map { [ $_, session($node, $_) ] } sort keys %as;
	$_->[1]->value($get, 'user_a') for @sessions;
	$super->run($make);
	for (@sessions)
	{
		my ($role, $session) = @$_;
		outcome_is($session, $state, "$role, $name: set", $set, 'user_a', 'AIza-refused');
		is_unchanged($session, $as{$role}, "$role, $name: set");
		if ($state ne '23514')
		{
			outcome_is($session, $state, "$role, $name: delete", q{SELECT key_vault.delete('user_a', 'gemini')});
			is_unchanged($session, $as{$role}, "$role, $name: delete");
			outcome_is($session, $state, "$role, $name: forget", q{SELECT key_vault.forget('user_a')});
		}
		# caught where it happens, the transaction goes on
		$session->run(q{DO $$ BEGIN PERFORM key_vault.set('user_a', 'gemini', repeat('A', 20)); EXCEPTION WHEN OTHERS THEN
			IF current_user <> session_user THEN RAISE EXCEPTION 'still the owner'; END IF;
			IF current_user <> 'regress_kv_tenant' AND key_vault.current_user_id() IS NOT NULL THEN RAISE EXCEPTION 'still acting'; END IF;
			PERFORM key_vault.get('user_a', 'gemini'); END $$});
		is_unchanged($session, $as{$role}, "$role, $name, caught");
		outcome_is($session, 'AIza-first', "$role, $name: nothing was changed", $get, 'user_a');
	}
	$super->run($unmake);
	outcome_is($_->[1], 'AIza-first', "$_->[0], $name: get afterwards", $get, 'user_a') for @sessions;
}

# --- At random points

# Runs set and get over and over while something interrupts; what came of each.
sub loop
{
	my ($role, $prepare, $interrupt) = @_;
	my $session = session($node, $role);
	my (%count, @wrong);
	my $until = time + $seconds;
	my $current = $super->value($get, 'user_a');
	my $number = 0;

	# on a busy machine most interrupts come too late: until enough did not
	while (time < $until || (($count{'57014'} // 0) <= 5 || ($count{ok} // 0) <= 5) && time < $until + $seconds_more)
	{
		$prepare->($session) if $prepare;
		my $key = "AIza-$role-" . $number++;
		my $is_set = rand() < 0.5;
		if ($is_set) { $session->send($set, 'user_a', $key) } else { $session->send($get, 'user_a') }
		$interrupt->($session) if $interrupt;
		my $result = $session->receive;
		my $state = $result->{error} ? $result->{error}{state} : 'ok';
		$count{$state}++;
		if ($prepare)
		{
			# which can run into the timeout itself
			1 while $session->simple('SET statement_timeout = 0')->{error};
		}
		# what interrupts may come late, when the server is idle: it goes to the next statement
		$session->query('SELECT 1') for 1 .. 2;
		$current = $key if $is_set && $state eq 'ok';
		my $now = $session->outcome($who);
		push @wrong, "$number: after $state it was $now" if $now ne $as{$role};
		my $got = $is_set || $state ne 'ok' ? $session->outcome($get, 'user_a') : $result->{rows}[0][0];
		push @wrong, "$number: after $state the key was $got, not $current" if $got ne $current;
	}
	return (\%count, \@wrong);
}

my $canceller = session($node);
my %loops = (
	'cancels' => [ undef, sub { my $pid = $_[0]->pid; sleep rand 0.002;
		$canceller->value('SELECT pg_cancel_backend($1::int)', $pid) } ],
	'timeouts' => [ sub { $_[0]->run('SET statement_timeout = ' . (1 + int rand 2)) }, undef ]);
# a timeout is too coarse to hit a call that takes microseconds: make set slower
$super->run(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(random() * 0.003); RETURN NEW; END $$},
	'CREATE TRIGGER slow BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION slow()');

for my $kind (sort keys %loops)
{
	for my $role (sort keys %as)
	{
		my ($count, $wrong) = loop($role, @{ $loops{$kind} });
		is_deeply($wrong, [], "$kind at random, $role: the session was who it was, and the key what was set last");
		cmp_ok($count->{'57014'} // 0, '>', 5, "$kind at random, $role: some calls were interrupted");
		cmp_ok($count->{ok}, '>', 5, "$kind at random, $role: some were not");
		is_deeply([ sort keys %$count ], [ '57014', 'ok' ], "$kind at random, $role: nothing else happened");
	}
}
$super->run('DROP TRIGGER slow ON key_vault_data.secrets');

# --- A session that is terminated

for my $blocker (sort keys %blockers)
{
	my $session = session($node, 'regress_kv_service');
	my $other = session($node);
	$other->run('BEGIN', $blockers{$blocker});
	$session->send($set, 'user_a', 'AIza-terminated');
	wait_until_blocked($session);
	$super->value('SELECT pg_terminate_backend($1::int)', $session->pid);
	is($session->receive->{error}{state}, '57P01', "terminated while set waits for $blocker");
	$other->run('ROLLBACK');
}
my $last = $super->value($get, 'user_a');
isnt($last, 'AIza-terminated', 'what a terminated session was about to set is not stored');
outcome_is(session($node, 'regress_kv_service'), $last, 'the server goes on', $get, 'user_a');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP:|leaked|leak:|was terminated/,
	'the log tells of no crash and no leak');

done_testing();
