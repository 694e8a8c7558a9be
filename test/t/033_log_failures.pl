# What can go wrong inside the log's hook costs an entry its details, never the entry, and
# never the server: no memory, very long statements, very many literals, bytes that are no
# text, an error while an error is reported.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

# A library that lets malloc fail for a range of sizes, on demand
my $folder = PostgreSQL::Test::Utils::tempdir;
my $switch = "$folder/fail";
my ($made, $errors) = run_command([ 'cc', '-shared', '-fPIC', '-O1', '-o', "$folder/fail_malloc.so", "$FindBin::RealBin/../preload/fail_malloc.c", '-ldl' ]);
ok(-e "$folder/fail_malloc.so", 'there is a malloc that fails') or BAIL_OUT("$made$errors");
$ENV{KV_FAIL_MALLOC} = $switch;
$ENV{KV_FAIL_FROM} = 3_000_000;
$ENV{KV_FAIL_TO} = 3_050_000;

my $node = new_logging_vault('failures', conf => "log_parameter_max_length_on_error = -1\n");
$node->stop;
{
	local $ENV{LD_PRELOAD} = "$folder/fail_malloc.so";
	$node->start;
}
add_role($node, 'regress_kv_service', 'service');
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid');

# Runs a statement, and returns its error, what was logged of it, and whether that shows the key.
sub logged
{
	my ($canary, $sql, %option) = @_;
	my $position = log_position($node);
	my $session = $option{session} // session($node, 'regress_kv_service');
	my $result = $session->simple($sql);
	ok(!shows(activity_of(session($node), $session), $canary), 'pg_stat_activity shows no key');
	unlink $switch;
	my $since = log_since($node, $position);
	is_deeply(shown_in_formats($since, $canary), [], 'the log shows no key');
	return ($result->{error}{state}, $since->{log});
}

# --- No memory for the statement without its literals

my $spaces = ' ' x 3_000_000;
for my $what (
	[ 'a statement that fails', "SELECT key_vault.set('user_a', 'nonesuch', '%s')$spaces, '" . 'x' x 100_000 . "'", '42704' ],
	[ 'a statement that cannot run', "SELECT key_vault.set('user_a', 'nonesuch', '%s'$spaces, '" . 'x' x 100_000 . "'", '42601' ])
{
	my ($name, $sql, $expected) = @$what;
	my $canary = canary();
	append_to_file($switch, '');
	my ($state, $log) = logged($canary, sprintf($sql, $canary));
	is($state, $expected, "no memory, $name: its error is as ever");
	like($log, qr/STATEMENT:  <statement hidden by key_vault>\n/, "$name: the statement is hidden as a whole");
	($state, $log) = logged($canary, sprintf($sql, $canary));
	is($state, $expected, "memory, $name: its error");
	like($log, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3/, "$name: the statement keeps its shape");
}
{
	my $canary = canary();
	my $super = session($node);
	$super->run('SET log_min_duration_statement = 0');
	append_to_file($switch, '');
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', 'exa', '$canary')$spaces, '" . 'x' x 100_000 . "'", session => $super);
	is($state, undef, 'no memory, the duration of a statement is logged');
	like($log, qr/duration: [0-9.]+ ms  statement: SELECT key_vault\.set\('\*\*\*\*', '\*\*\*', '\*\*\*\*'\)/, 'in place, where there is no memory for a copy');
}

# No memory for other copies: of a query within a function, and of a statement that carries no
# secrets and has what looks like a key
{
	my $canary = canary();
	my $half = q{repeat(' ', 1500000)};
	my $sql = "DO \$\$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''exa'' here, ''$canary' || repeat('x', 100000) || ''')' || $half || $half; END \$\$";
	append_to_file($switch, '');
	my ($state, $log) = logged($canary, $sql);
	is($state, '42601', 'no memory, a query within a function: its error is as ever');
	like($log, qr/QUERY:  \(not shown by key_vault\)\n/, 'the query is hidden as a whole');
	like($log, qr/STATEMENT:  DO \$1\n/, 'its statement keeps its shape');
	($state, $log) = logged($canary, $sql);
	is($state, '42601', 'memory, a query within a function: its error');
	like($log, qr/QUERY:  SELECT key_vault\.set\(\$1, \$2 here, \$3\)/, 'it keeps its shape');
}
{
	my $canary = canary();
	my $sql = "SELECT 'sk-${canary}0A1b2C3d4E5', nonesuch" . ' ' x 3_010_000;
	append_to_file($switch, '');
	my ($state, $log) = logged($canary, $sql);
	# the parser has none, either
	is($state, '53200', 'no memory, what looks like a key: the error is as ever');
	like($log, qr/STATEMENT:  <statement hidden by key_vault>\n/, 'the statement is hidden as a whole');
	($state, $log) = logged($canary, $sql);
	is($state, '42703', 'memory, what looks like a key: its error');
	like($log, qr/STATEMENT:  SELECT '\*\*\*\*', nonesuch/, 'it keeps its shape');
}

# --- Long, many, odd

{
	my $canary = canary();
	my $size = $ENV{KV_LONG} ? 100 : 4;
	my $long = ($canary x 4) . 'x' x ($size * 1_000_000);
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', 'exa', '$long')");
	is($state, '22023', "a statement of $size MB");
	like($log, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\)\n/, 'is logged');
}
{
	my $canary = canary();
	my $many = $ENV{KV_LONG} ? 1_000_000 : 200_000;
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', 'exa', '$canary')" . ", ''" x $many);
	is($state, '54011', "$many literals");
	like($log, qr/, \$${\($many + 3)}\n/, 'are logged as parameters');
}
{
	my $many = $ENV{KV_LONG} ? 10_000 : 2_000;
	my @canaries = map { canary() } 1 .. $many;
	my $values = join ', ', map { "('user_a', 'exa', '$_')" } @canaries;
	my $position = log_position($node);
	my $session = session($node, 'regress_kv_service');
	my $result = $session->simple("SELECT 1 / (key_vault.set(u, p, k) - 5) FROM (VALUES $values) v (u, p, k)");
	is($result->{error}{state}, '22012', "$many rows of literals");
	my $log = log_since($node, $position)->{log};
	is(scalar(grep { index($log, $_) >= 0 } @canaries), 0, 'are not logged');
	like($log, qr/\(\$${\(3 * $many)}, \$${\(3 * $many + 1)}, \$${\(3 * $many + 2)}\)\) v/, 'but their shape is');
	$result = $session->simple("SELECT raise_it('$canaries[-1]') FROM (VALUES $values) v (u, p, key_vault.set)");
	is($result->{error}{state}, '42601', 'nor with an error');
}
{
	my $canary = canary();
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', 'exa\xff', '$canary')");
	is($state, '22021', 'a statement that is not of the encoding');
	$node->safe_psql('postgres', q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0});
	KeyVaultTest::install_vault($node, 'bytes');
	my $bytes = session($node, undef, dbname => 'bytes', client_encoding => 'SQL_ASCII');
	($state, $log) = logged($canary, "SELECT key_vault.set('user_a', '\xff\xfe', \xffoo, '$canary\xff')", session => $bytes);
	is($state, '42703', 'a statement with bytes that are no text');
	like($log, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \xffoo, \$3\)\n/, 'keeps its shape');
}

# More values than the hook keeps: it keeps the last ones, and of literals those that the entry has
$node->safe_psql('postgres', <<'END');
CREATE TABLE incoming (k text);
CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_ARGV[0] = 'before' THEN RAISE LOG 'storing %', NEW.k; END IF;
	PERFORM key_vault.inspect_key('exa', NEW.k);
	RAISE LOG 'stored %', NEW.k;
	RETURN NULL;
END $$;
CREATE TRIGGER pass_on BEFORE INSERT ON incoming FOR EACH ROW EXECUTE FUNCTION pass_on('before');
CREATE TABLE unlisted (k text);
CREATE TRIGGER pass_on BEFORE INSERT ON unlisted FOR EACH ROW EXECUTE FUNCTION pass_on('after');
CREATE TABLE staged (k text);
ALTER SYSTEM SET key_vault.redact_names = 'incoming';
SELECT pg_reload_conf();
END
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.redact_names') = 'incoming'});
for my $what ([ 'literals', 'INSERT INTO incoming VALUES ', 2 ], [ 'rows of another table', 'INSERT INTO unlisted SELECT k FROM staged', 1 ])
{
	my ($name, $sql, $entries) = @$what;
	my @canaries = map { canary() } 1 .. 1000;
	my $values = join ', ', map { "('$_')" } @canaries;
	$node->safe_psql('postgres', "TRUNCATE staged; INSERT INTO staged VALUES $values");
	my $position = log_position($node);
	is(session($node)->simple($sql =~ /VALUES/ ? $sql . $values : $sql)->{error}, undef, "1,000 $name");
	my $log = log_since($node, $position)->{log};
	is(scalar(grep { index($log, $_) >= 0 } @canaries), 0, 'are not in what a trigger says');
	is(scalar(() = $log =~ /LOG:  stor(?:ing|ed) \*{4}\n/g), $entries * 1000, 'of each');
}
{
	my $canary = canary();
	my $long = join '', map { canary(1000) } 1 .. 70;
	my $position = log_position($node);
	is(session($node)->simple("INSERT INTO incoming VALUES ('$long'), ('$canary')")->{error}, undef, 'a literal that is longer than what is kept');
	my $log = log_since($node, $position)->{log};
	ok(!shows($log, $canary), 'hides no other one');
	ok(!shows($log, substr($long, $_ * 100, 100)), 'and is not shown') for 0, 350, 690;
	like($log, qr/LOG:  storing \*{4}\n/, 'but the message is, where it can be');
}

# --- An error while an error is reported: the client's encoding has no such character

{
	my $canary = canary();
	my $session = session($node, 'regress_kv_service', client_encoding => 'LATIN1');
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', U&'none\\65e5', '$canary')", session => $session);
	ok(defined $state, 'an error that cannot be told to the client');
	like($log, qr/ERROR:  provider "none\xe6\x97\xa5" is not registered\n/, 'is logged');
	like($log, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\)\n/, 'with its statement');
	is($session->value('SELECT 1'), 1, 'and the session goes on');
}
{
	my $canary = canary();
	my ($state, $log) = logged($canary, "SELECT key_vault.set('user_a', 'exa', '$canary'), " . '(' x 20_000 . '1' . ')' x 20_000);
	like($state, qr/^(?:54001|42601)$/, 'a statement that is nested too deeply');
	like($log, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\), \(\(/, 'keeps its shape');
}

is(slurp_file($node->data_dir . '/postmaster.pid'), $postmaster, 'the server has not been restarted');
unlike(slurp_file($node->data_dir . '/log/all.log'), qr/PANIC|was terminated by signal/, 'no backend has crashed');

done_testing();
