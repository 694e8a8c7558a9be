# A rotation while others read and write: nobody fails or waits for long, nothing is lost, and
# nothing that was deleted comes back.  Afterwards the old root key can leave the keyring.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# A deadlock would be found at once
my $node = new_vault('rotation_concurrent', conf => "deadlock_timeout = 20ms\n");
add_role($node, 'dba', 'admin');
my $super = session($node);
my $users = 30;

sub value_of { return sprintf 'exa-key-of-%s-%012d', @_; }

$super->value(q{SELECT count(key_vault.set('user_' || n, 'exa', format('exa-key-of-user_%s-%s', n, lpad('1', 12, '0'))))
	FROM generate_series(1, $1::int) n}, $users);
my %expected = map { ("user_$_" => value_of("user_$_", 1)) } 1 .. $users;

sub everything_reads
{
	my ($name, $session) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session //= $super;
	my @wrong = grep {
		$session->outcome(q{SELECT key_vault.get($1, 'exa')}, $_) ne ($expected{$_} // 'NULL')
	} map { "user_$_" } 1 .. $users;
	return is_deeply(\@wrong, [], "$name: every secret can be read");
}

sub activate_new_root_key
{
	my $id = $super->value('SELECT key_vault.create_root_key()');
	$super->value('SELECT key_vault.activate_root_key($1)', $id);
	return $id;
}

sub not_sealed_with
{
	return $super->value('SELECT count(*) FROM key_vault_data.secrets WHERE root_key_id <> $1', shift);
}

sub wait_until
{
	my ($name, $sql, @parameters) = @_;
	for (1 .. 2000)
	{
		return 1 if $super->value($sql, @parameters) eq 't';
		sleep 0.005;
	}
	die "timed out: $name\n";
}

# For a moment, again and again: nobody waits in a queue for a row
sub wait_until_it_waits
{
	my ($session) = @_;
	wait_until('waits', q{SELECT coalesce(bool_or(wait_event = 'Extension'), false) FROM pg_stat_activity WHERE pid = $1::int}, $session->pid);
	return;
}

sub ended_well
{
	my ($session, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($session->receive->{error}, undef, $name);
}

# --- A row that others hold is left to the end; meanwhile nobody waits

my $second = activate_new_root_key();
my $holder = session($node);
my $dba = session($node, 'dba');
# at this level a row that others change would be an error
$dba->run(q{SET default_transaction_isolation = 'repeatable read'});
$holder->run('BEGIN', q{SELECT key_vault.delete('user_10', 'exa')}, q{SELECT FROM key_vault_data.secrets WHERE user_id = 'user_20' FOR UPDATE});
$dba->send('CALL key_vault.rotate_root_key(7)');
wait_until_it_waits($dba);
is(not_sealed_with($second), 2, 'all but the rows that are held are re-sealed');
outcome_is($super, 2, 'a key can be set again while the rotation waits for it', q{SELECT key_vault.set('user_20', 'exa', $1)}, value_of('user_20', 2));
$holder->run('COMMIT');
$expected{user_20} = value_of('user_20', 2);
delete $expected{user_10};
my $result = $dba->receive;
is($result->{error}, undef, 'the rotation goes on when the rows are free');
is(warned($result, '55000'), 0, 'and leaves none of them');
is(not_sealed_with($second), 0, 'all are re-sealed');
everything_reads('nothing that was deleted comes back');

# --- One at a time, and others see how far it is

my $other_dba = session($node, 'dba');
my $gated = activate_new_root_key();
my $gate = session($node);
$super->run(
	q{CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(1); RETURN NEW; END'},
	q{CREATE TRIGGER gate BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW WHEN (OLD.user_id = 'user_5') EXECUTE FUNCTION gate()});
$gate->run('SELECT pg_advisory_lock(1)');
$dba->send('CALL key_vault.rotate_root_key(7)');
wait_until('the batch with user_5 is under way', q{SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $1::int}, $dba->pid);
everything_reads('within a rotation');
outcome_is($other_dba, 'running', 'another session sees the progress', 'SELECT state FROM key_vault.rotation_progress');
my ($rows, $left) = map { not_sealed_with($_) } 'none', $gated;
is_deeply($other_dba->query('SELECT total, done, remaining, pid FROM key_vault.rotation_progress')->{rows},
	[ [ $rows, $rows - $left, $left, $dba->pid ] ], 'in numbers');
my $error = $other_dba->query('CALL key_vault.rotate_root_key()')->{error};
is($error->{state}, '55006', 'a second rotation does not start');
like($error->{detail}, qr/\b@{[ $dba->pid ]}\b/, 'and says who is at it');
$gate->run('SELECT pg_advisory_unlock(1)');
ended_well($dba, 'the first one ends');
is(not_sealed_with($gated), 0, 'with all secrets');
outcome_is($other_dba, 'finished', 'and the view says so', 'SELECT state FROM key_vault.rotation_progress');
$super->run('DROP TRIGGER gate ON key_vault_data.secrets');

# --- Cancelled, or its session gone: the next one can start

for my $end (qw(pg_cancel_backend pg_terminate_backend))
{
	my $root_key = activate_new_root_key();
	$dba = session($node, 'dba');
	$holder->run('BEGIN', q{SELECT FROM key_vault_data.secrets WHERE user_id = 'user_20' FOR UPDATE});
	$dba->send('CALL key_vault.rotate_root_key(7)');
	wait_until_it_waits($dba);
	$super->value("SELECT $end(\$1::int)", $dba->pid);
	is($dba->receive->{error}{state}, $end eq 'pg_cancel_backend' ? '57014' : '57P01', "$end ends a rotation");
	outcome_is($dba, 'dba', 'its caller is who they were', 'SELECT current_user') if $end eq 'pg_cancel_backend';
	outcome_is($other_dba, 'interrupted', 'others see that it was cut short', 'SELECT state FROM key_vault.rotation_progress');
	$holder->run('ROLLBACK');
	wait_until('the lock is gone', q{SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = $1::int)}, $dba->pid);
	is($other_dba->query('CALL key_vault.rotate_root_key(7)')->{error}, undef, 'another session can go on');
	is(not_sealed_with($root_key), 0, 'to the end');
}

# --- No deadlock with a transaction that holds one row and wants another

my $third = activate_new_root_key();
$super->run(
	q{CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END'},
	q{CREATE TRIGGER linger BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW WHEN (NEW.user_id = 'user_3') EXECUTE FUNCTION linger()});
$holder->run('BEGIN', q{SELECT key_vault.delete('user_9', 'exa')});
$dba = session($node, 'dba');
$dba->send('CALL key_vault.rotate_root_key(100)');
wait_until('the batch is under way', q{SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1::int}, $dba->pid);
# the batch has user_1 locked; it must not wait for user_9
$holder->send(q{SELECT key_vault.delete('user_1', 'exa')});
everything_reads('within a batch');
ended_well($holder, 'a transaction that wants a row of the batch gets it');
$holder->run('COMMIT');
delete @expected{qw(user_1 user_9)};
ended_well($dba, 'and the batch does not fail either');
is(not_sealed_with($third), 0, 'all is re-sealed');
everything_reads('after that');
$super->run('DROP TRIGGER linger ON key_vault_data.secrets');

# --- Another root key becomes active under way: the rotation ends with that one

activate_new_root_key();
$super->run(
	q{CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END'},
	q{CREATE TRIGGER linger BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION linger()});
$dba->send('CALL key_vault.rotate_root_key(1)');
wait_until('some are re-sealed', q{SELECT done BETWEEN 5 AND 25 AND state = 'running' FROM key_vault.rotation_progress});
my $fourth = activate_new_root_key();
ended_well($dba, 'a root key is activated meanwhile');
is(not_sealed_with($fourth), 0, 'and is the one that seals all in the end');
$super->run('DROP TRIGGER linger ON key_vault_data.secrets');
everything_reads('sealed with the newest');

# --- Its caller is told how far it is: in the end, and every five seconds until then

my $sleep = $ENV{KV_LONG} ? 0.4 : 0.001;
activate_new_root_key();
$super->run(
	qq{CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep($sleep); RETURN NEW; END'},
	q{CREATE TRIGGER linger BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION linger()});
my $total = not_sealed_with('none');
my @told = map { [ "$_->{message}. $_->{detail}" =~ /^re-sealed (\d+) of $total secrets\. [1-9]\d* a second; (\d+) remain, 0 do not open\.$/ ] }
  grep { $_->{severity} eq 'NOTICE' } @{ $dba->query('CALL key_vault.rotate_root_key(1)')->{notices} };
$super->run('DROP TRIGGER linger ON key_vault_data.secrets');
is_deeply(pop @told, [ $total, 0 ], 'in the end a NOTICE tells that all is done');
cmp_ok(scalar @told, '>=', int($total * $sleep / 5), 'and one every five seconds how much');
is_deeply([ grep { @$_ != 2 || $_->[0] == 0 || $_->[0] + $_->[1] != $total } @told ], [], 'and how much remains');

# --- Readers and writers all the time

my $storm_users = 2000;
$super->value(q{SELECT count(key_vault.set('storm_' || n, 'exa', format('exa-key-of-storm_%s-%s', n, lpad('1', 12, '0'))))
	FROM generate_series(1, $1::int) n}, $storm_users);
my %storm = map { ("storm_$_" => [ value_of("storm_$_", 1) ]) } 1 .. $storm_users;
my $fifth = activate_new_root_key();
my @wrong;
my %calls;
my $counter = 1;
my $slowest = 0;

# Each worker has users of its own, so that it knows what it must get
my @workers = map { { number => $_, session => session($node) } } 0 .. 5;

sub next_call
{
	my ($worker) = @_;
	my $user = 'storm_' . (1 + $worker->{number} + @workers * int rand(($storm_users - @workers) / @workers));
	my $kind = (qw(get get get get set set delete))[ rand 7 ];
	$worker->{user} = $user;
	$worker->{kind} = $kind;
	$worker->{sent} = time;
	$calls{$kind}++;
	if ($kind eq 'set')
	{
		$worker->{value} = value_of($user, ++$counter);
		$worker->{session}->send(q{SELECT key_vault.set($1, 'exa', $2)}, $user, $worker->{value});
	}
	else { $worker->{session}->send("SELECT key_vault.$kind(\$1, 'exa')", $user); }
	return;
}

sub take_result
{
	my ($worker, $result) = @_;
	my $is = $storm{ $worker->{user} };
	$slowest = time - $worker->{sent} if $slowest < time - $worker->{sent};
	if ($result->{error})
	{
		push @wrong, "$worker->{kind} of $worker->{user}: $result->{error}{state} $result->{error}{message}";
	}
	elsif ($worker->{kind} eq 'get')
	{
		my $got = $result->{rows}[0][0] // 'NULL';
		my $wanted = $is->[0] // 'NULL';
		push @wrong, "$worker->{user}: $got instead of $wanted" if $got ne $wanted;
	}
	else { $is->[0] = $worker->{kind} eq 'set' ? $worker->{value} : undef; }
	return;
}

my ($rotations, $failed) = (1, undef);
$dba->send('CALL key_vault.rotate_root_key(50)');
next_call($_) for @workers;
for (;;)
{
	for my $worker (@workers)
	{
		my $result = $worker->{session}->ready or next;
		take_result($worker, $result);
		next_call($worker);
	}
	my $done = $dba->ready or next;
	$failed //= $done->{error};
	last if $counter > 100 || $rotations == 50;
	$fifth = activate_new_root_key();
	$dba->send('CALL key_vault.rotate_root_key(50)');
	$rotations++;
}
take_result($_, $_->{session}->receive) for @workers;
is($failed, undef, 'rotations among readers and writers');
is_deeply(\@wrong, [], 'none of them fails or gets what is not right');
note "$rotations rotations; " . join(', ', map { "$calls{$_} $_" } sort keys %calls) . sprintf ' meanwhile; the slowest took %.0f ms', $slowest * 1000;
cmp_ok($counter, '>', 100, 'there were some');
cmp_ok($slowest, '<', 2, 'nobody waited for the whole of it');
is(not_sealed_with($fifth), 0, 'nothing is left');
my @lost = grep { $super->outcome(q{SELECT key_vault.get($1, 'exa')}, $_) ne ($storm{$_}[0] // 'NULL') } sort keys %storm;
is_deeply(\@lost, [], 'and nothing is lost or came back');

# --- A session that has the old ring in memory, and a transaction that sealed with the old key

my $old = session($node);
outcome_is($old, $expected{user_2}, 'a session reads the keyring', q{SELECT key_vault.get('user_2', 'exa')});
my $slow = session($node);
$slow->run('BEGIN', q{SELECT key_vault.set('user_10', 'exa', 'exa-key-of-user_10-000000000003')});
my $repeatable = session($node);
$repeatable->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
outcome_is($repeatable, $expected{user_4}, 'a transaction has its snapshot', q{SELECT key_vault.get('user_4', 'exa')});
my $sixth = activate_new_root_key();
is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'a rotation does not wait for a transaction that has sealed with the old root key');
is(not_sealed_with($sixth), 0, 'and sees nothing of it');
$dba->run(q{SET lock_timeout = '50ms'});
outcome_is($dba, '55P03', 'retiring the old root key does wait for it', 'SELECT key_vault.retire_root_key($1)', $fifth);
$slow->run('COMMIT');
$expected{user_10} = 'exa-key-of-user_10-000000000003';
outcome_is($dba, '55000', 'and refuses when something is sealed with it after all', 'SELECT key_vault.retire_root_key($1)', $fifth);
is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'rotate again');
outcome_is($dba, '', 'and it can be retired', 'SELECT key_vault.retire_root_key($1)', $fifth);

everything_reads('a session with the old ring', $old);
outcome_is($repeatable, $expected{user_4}, 'an old snapshot still reads', q{SELECT key_vault.get('user_4', 'exa')});
outcome_is($repeatable, 2, 'and can set', q{SELECT key_vault.set('user_4', 'exa', $1)}, value_of('user_4', 2));
$repeatable->run('COMMIT');
$expected{user_4} = value_of('user_4', 2);
outcome_is($old, 2, 'so can a session with the old ring', q{SELECT key_vault.set('user_5', 'exa', $1)}, value_of('user_5', 2));
$expected{user_5} = value_of('user_5', 2);
is(not_sealed_with($sixth), 0, 'neither seals with a retired root key');
outcome_is($old, '55000', 'nor can one be activated again', 'SELECT key_vault.activate_root_key($1)', $fifth);

# --- Nothing but the new root key is needed

$super->query(q{SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys WHERE state = 'standby'});
my $path = keyring_path($node);
my $keyring = slurp_file($path);
my ($newest) = $keyring =~ /^($sixth .*)$/m;
open my $handle, '>', $path or die $!;
print $handle "$newest\n";
close $handle;
$node->restart;
$super = session($node);
is($super->value(q{SELECT string_agg(DISTINCT state, ',' ORDER BY state) FROM key_vault.root_keys}), 'active,retired', 'the old root keys are out of the keyring');
everything_reads('with the newest root key alone');

done_testing();
