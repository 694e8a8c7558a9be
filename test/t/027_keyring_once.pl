# With the library in shared_preload_libraries, keyring_command is run once for all the
# sessions of a database, until the configuration is loaded anew or a root key is missing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CountedCommand;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $command = CountedCommand->new;
my $node = new_counted_vault('once', $command, conf => "restart_after_crash = on\n");
my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my $get_second = q{SELECT key_vault.get('user_a', 'openai')};
my $watcher = session($node);

# Sessions that were sent the call and wait for the command, which is held up.
sub sessions_waiting
{
	my ($count) = @_;
	my @sessions = map { session($node) } 1 .. $count;
	$_->send($get) for @sessions;
	waiting_sessions($watcher, $count, @sessions);
	return @sessions;
}

sub outcome_of
{
	my ($session) = @_;
	my $result = $session->receive;
	return $result->{error} ? "$result->{error}{state}: $result->{error}{message}" : $result->{rows}[0][0];
}

sub results_are
{
	my ($sessions, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply([ map { outcome_of($_) } @$sessions ], [ ($expected) x @$sessions ], $name);
	return;
}

my $failure = 'F0000: key_vault.keyring_command failed: child process exited with exit code 3';

# --- Once

reload_settings($node);
outcome_is(session($node), 'AIza-of-user_a', 'a session opens a key', $get) for 1 .. 5;
is($command->calls, 1, 'five sessions one after another: one call');

reload_settings($node);
$command->set('gate');
my @sessions = sessions_waiting(6);
$command->wait_for_calls(1);
is(scalar $command->peek, 1, 'six sessions at once: one call is under way');
$command->unset('gate');
results_are(\@sessions, 'AIza-of-user_a', 'all of them get their key');
is($command->calls, 1, 'six sessions at once: one call');

# --- Failure

reload_settings($node);
$command->set('gate');
$command->set('fail');
@sessions = sessions_waiting(5);
$command->unset('gate');
my @results = map { $_->receive } @sessions;
is_deeply([ map { "$_->{error}{state}: $_->{error}{message}" } @results ], [ ($failure) x 5 ], 'a failure is told to all who waited');
is_deeply([ map { $_->{error}{hint} } @results ], [ ('What it wrote to standard error is in the server log.') x 5 ], 'with its hint');
is($command->calls, 1, 'and was one call');
is(session($node)->query($get)->{error}{message}, $failure =~ s/^F0000: //r, 'the next one tries again');
is($command->calls, 1, 'and calls');
$command->unset('fail');
outcome_is($sessions[0], 'AIza-of-user_a', 'a session that was told of a failure can open when it is mended', $get);
outcome_is(session($node), 'AIza-of-user_a', 'and others', $get);
is($command->calls, 1, 'with one call');

# A keyring that was read serves on while the command fails, for new sessions too
$command->set('fail');
is(session($node)->value(q{SELECT state FROM key_vault.status() WHERE item = 'keyring'}), 'error', 'status() asks anew, and says that it fails');
cmp_ok($command->calls, '>=', 1, 'with calls of its own');
outcome_is(session($node), 'AIza-of-user_a', 'what was read before serves on', $get);
$command->unset('fail');
is($command->calls, 0, 'without a call');

# --- Who asks ends, the others go on

for my $case ([ 'cancelled', 'pg_cancel_backend', '57014' ], [ 'terminated', 'pg_terminate_backend', '57P01' ])
{
	my ($name, $function, $state) = @$case;
	reload_settings($node);
	$command->set('gate');
	my ($asker) = sessions_waiting(1);
	$command->wait_for_calls(1);
	my @others = sessions_waiting(3);
	$watcher->query("SELECT $function(" . $asker->pid . ')');
	is($asker->receive->{error}{state}, $state, "who asks is $name");
	$command->wait_for_calls(2);
	$command->unset('gate');
	results_are(\@others, 'AIza-of-user_a', "who asks is $name: one of the others does");
	is($command->calls, 2, "who asks is $name: one more call");
}

reload_settings($node);
$command->set('gate');
my ($asker) = sessions_waiting(1);
$command->wait_for_calls(1);
my ($impatient, $patient) = sessions_waiting(2);
$watcher->query('SELECT pg_cancel_backend(' . $impatient->pid . ')');
is($impatient->receive->{error}{state}, '57014', 'who waits can be cancelled');
$command->unset('gate');
results_are([ $asker, $patient ], 'AIza-of-user_a', 'which is nothing to the others');
is($command->calls, 1, 'nor a call');

# --- A crash

reload_settings($node);
outcome_is(session($node), 'AIza-of-user_a', 'before a crash', $get);
$command->calls;
for my $case ('with a keyring at hand', 'while one asks')
{
	my ($victim) = map { session($node) } 1;
	if ($case eq 'while one asks')
	{
		reload_settings($node);
		$command->set('gate');
		($victim) = sessions_waiting(1);
		$command->wait_for_calls(1);
	}
	kill 'KILL', $victim->pid;
	wait_until(sub { $watcher->query('SELECT 1')->{error} });
	$command->unset('gate');
	wait_for_server($node);
	$command->calls;
	outcome_is(session($node), 'AIza-of-user_a', "a crash $case: a key opens", $get) for 1 .. 3;
	is($command->calls, 1, "a crash $case: it is asked for again, once");
	$watcher = session($node);
}

# --- A reload

my @old = map { session($node) } 1 .. 3;
outcome_is($_, 'AIza-of-user_a', 'a session before the reload', $get) for @old;
is($command->calls, 0, 'has the keyring from the others');
reload_settings($node);
outcome_is($_, 'AIza-of-user_a', 'the same session after it', $get) for @old;
outcome_is(session($node), 'AIza-of-user_a', 'and a new one', $get);
is($command->calls, 1, 'a reload: one call for old sessions and new ones');

# Root key 2 goes from the source: who opens with it has an old keyring
$command->put('postgres', 1, 2);
$watcher->run(q{SELECT key_vault.activate_root_key('} . root_key_id(2) . q{')}, q{SELECT key_vault.set('user_a', 'openai', 'sk-of-user_a')});
is($command->calls, 1, 'activating a root key reads the keyring now');
outcome_is($_, 'sk-of-user_a', 'sessions with an older keyring take the newer one', $get_second) for @old;
is($command->calls, 0, 'without a call');
$command->put('postgres', 1);
outcome_is(session($node), 'sk-of-user_a', 'before a reload, a new session has what was read', $get_second);
reload_settings($node);
outcome_is(session($node), 'F0000', 'after it, none has', $get_second);
outcome_is($old[0], 'F0000', 'not the old ones either', $get_second);
outcome_is($watcher, 'F0000', 'a root key that the command does not print any more cannot be activated',
	q{SELECT key_vault.activate_root_key('} . root_key_id(2) . q{')});

# ... also when it was asked for before the reload, and printed after it
$command->put('postgres', 1, 2);
reload_settings($node);
$command->calls;
$command->set('gate');
($asker) = sessions_waiting(1);
$command->wait_for_calls(1);
$command->put('postgres', 1);
reload_settings($node);
my $after = session($node);
$after->send($get_second);
$command->wait_for_calls(2);
pass('who comes after a reload does not wait for what was asked before');
my $third = session($node);
$third->send($get_second);
waiting_sessions($watcher, 3, $asker, $after, $third);
is(scalar $command->peek, 2, 'but for who asks anew');
$command->unset('gate');
is(outcome_of($asker), 'AIza-of-user_a', 'who asked before it has a keyring');
results_are([ $after, $third ], 'F0000: root key ' . root_key_id(2) . ' is not in the keyring', 'and no other gets that');
outcome_is(session($node), 'F0000', 'nor a later one', $get_second);

$command->put('postgres', 1, 2);
reload_settings($node);
$command->calls;
$command->set('gate');
($asker) = sessions_waiting(1);
$command->wait_for_calls(1);
$command->put('postgres', 1);
reload_settings($node);
$command->unset('gate');
is(outcome_of($asker), 'AIza-of-user_a', 'who asked before a reload, and nobody waits for it');
outcome_is($old[0], 'F0000', 'no session gets that', $get_second);
outcome_is(session($node), 'F0000', 'nor does a later one', $get_second);

# --- A session that has not seen the reload: it is in a statement, and has the old command

sub change_command
{
	my ($number) = @_;
	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', "'" . $command->text . " $number'");
	reload_settings($node);
	return;
}

# A session whose statement gets a key when the watcher gives the lock back
sub session_in_statement
{
	my $session = session($node);
	$watcher->run('SELECT pg_advisory_lock(1)');
	$session->send(q{SELECT key_vault.get('user_a', 'gemini') FROM (SELECT pg_advisory_xact_lock_shared(1) OFFSET 0) s});
	wait_until(sub { $watcher->value(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'}) == 1 });
	return $session;
}

my $behind = session_in_statement();
change_command(1);
$command->calls;
outcome_is(session($node), 'AIza-of-user_a', 'a new command', $get);
$watcher->run('SELECT pg_advisory_unlock(1)');
is(outcome_of($behind), 'AIza-of-user_a', 'a session with the old command');
is($command->calls, 2, 'runs that one');
outcome_is(session($node), 'AIza-of-user_a', 'a session with the new command', $get);
is($command->calls, 0, 'has what the new one printed');

$behind = session_in_statement();
change_command(2);
$command->calls;
$watcher->run('SELECT pg_advisory_unlock(1)');
is(outcome_of($behind), 'AIza-of-user_a', 'the old command first');
outcome_is(session($node), 'AIza-of-user_a', 'the new command', $get);
is($command->calls, 2, 'has nothing of the old one');

# --- A root key that is missing

sleep 1.1;
my $start = time;
outcome_is($_, 'F0000', 'a root key that is lost', $get_second) for @old, map { session($node) } 1 .. 20;
my $seconds = time - $start;
cmp_ok($command->calls, '<=', 1 + $seconds, 'a root key that is lost: one call a second at most');
$command->put('postgres', 1, 2);
$watcher->run(q{SELECT key_vault.activate_root_key('} . root_key_id(2) . q{')});
outcome_is($_, 'sk-of-user_a', 'it is found at once when a call has read the keyring', $get_second) for @old, session($node);
$command->put('postgres', 1);
reload_settings($node);
outcome_is($_, 'F0000', 'a root key that is lost again', $get_second) for @old;
$command->calls;
$command->put('postgres', 1, 2);
sleep 1.1;
outcome_is($_, 'sk-of-user_a', 'it is found when it is back', $get_second) for session($node), @old;
is($command->calls, 1, 'with one call');

# --- What must be fresh

for my $query (q{SELECT count(*) FROM key_vault.status()}, q{SELECT count(*) FROM key_vault.verify_secrets()},
	q{SELECT state FROM key_vault.root_keys LIMIT 1}, q{CALL key_vault.rotate_root_key()})
{
	is($watcher->simple($query)->{error}, undef, $query);
	cmp_ok($command->calls, '>=', 1, "$query reads the keyring now");
}
outcome_is(session($node), '55000', 'discard_secrets', q{CALL key_vault.discard_secrets('} . root_key_id(1) . q{')});
cmp_ok($command->calls, '>=', 1, 'discard_secrets reads the keyring now');

# --- Who has no part in it

$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', q{''});
append_to_file("$command->{path}.file", root_key_line(1) . root_key_line(2));
chmod 0600, "$command->{path}.file";
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$command->{path}.file'\n");
reload_settings($node);
outcome_is($_, 'sk-of-user_a', 'a keyring file', $get_second) for $watcher, session($node);
unlink "$command->{path}.file";
outcome_is(session($node), 'F0000', 'is read by each session', $get_second);
is($command->calls, 0, 'and no command is run');

$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', "'" . $command->text . "'");
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q{''});
$node->restart;
outcome_is(session($node), 'sk-of-user_a', 'not preloaded', $get_second) for 1 .. 3;
is($command->calls, 3, 'not preloaded: each session runs the command');

# A setting on the server's command line is not set again by a reload
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q{'key_vault'});
$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', undef);
$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', undef);
$node->stop;
system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', "-c key_vault.keyring_command='" . $command->text . "'", 'start');
outcome_is(session($node), 'sk-of-user_a', 'a setting on the command line', $get_second) for 1 .. 3;
is($command->calls, 1, 'a setting on the command line: one call');
reload_settings($node);
outcome_is(session($node), 'sk-of-user_a', 'a setting on the command line, after a reload', $get_second) for 1 .. 3;
is($command->calls, 1, 'a setting on the command line: a reload makes it be run again');

$node->_update_pid(1);
$node->stop;
done_testing();
