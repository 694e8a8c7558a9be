# The keyring as what a command prints: it wins over the file, has a time limit, leaves
# nothing running, sees nothing of the server, and appears in no message.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $folder = PostgreSQL::Test::Utils::tempdir;

sub line
{
	my ($byte) = @_;
	my $key = chr($byte) x 32;
	my $id = unpack('H16', sha256("key_vault root key v1$key"));
	return "$id " . encode_base64($key, '') . " 2026-01-31T23:59:59Z\n";
}

my ($of_file, $of_command) = (line(1), line(2));
my ($file_id, $command_id) = map { substr($_, 0, 16) } $of_file, $of_command;

sub write_file
{
	my ($name, $content) = @_;
	open my $handle, '>:raw', "$folder/$name" or die "$folder/$name: $!";
	print $handle $content;
	close $handle;
	chmod 0600, "$folder/$name";
	return;
}

write_file('file', $of_file);
write_file('output', $of_command);

my $node = PostgreSQL::Test::Cluster->new('keyring_command');
init_cluster($node);
$node->append_conf('postgresql.conf', <<"END");
key_vault.keyring_file = '$folder/file'
key_vault.keyring_command = ''
key_vault.keyring_command_timeout = 20s
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION key_vault');

sub set_command
{
	my ($command) = @_;
	(my $quoted = $command) =~ s/'/''/g;
	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', "'$quoted'");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('key_vault.keyring_command') = '$quoted'")
	  or die 'the setting did not arrive';
	return;
}

sub attempt
{
	my ($id, $settings) = @_;
	my ($code, $out, $err) = $node->psql('postgres',
		($settings // '') . "SELECT key_vault.activate_root_key('$id')",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/\n/ /g;
	return $code == 0 ? 'ok' : $err;
}

sub refused
{
	my ($name, $command, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	set_command($command);
	my $answer = attempt($command_id);
	like($answer, qr/ERROR:  F0000: .*$pattern/, $name);
	unlike($answer, qr/hunter2|\Q$folder\E|\Q$command\E/, "$name: neither the command nor its output is told");
	return;
}

sub slurp_line
{
	my ($name) = @_;
	my $content = -e "$folder/$name" ? slurp_file("$folder/$name") : '';
	chomp $content;
	return $content;
}

# Whether a process that a command noted in a file ended, or does soon.
sub is_gone
{
	my ($name) = @_;
	my $pid = slurp_line($name);
	return 0 unless $pid =~ /^\d+$/;
	for (1 .. 100)
	{
		return 1 unless kill 0, $pid;
		sleep 0.05;
	}
	return 0;
}

# --- What works

set_command("cat $folder/output");
is(attempt($command_id), 'ok', 'a command that prints a keyring');
like(attempt($file_id), qr/F0000: .*root key $file_id is not in the keyring.*read from keyring_command/,
	'it wins over the file');
my (undef, undef, $err) = $node->psql('postgres', 'SELECT key_vault.create_root_key()');
like($err, qr/cannot be added to what a command prints.*keyring_command is set.*activate_root_key/s,
	'create_root_key() does not write the file that is not read');
is(slurp_file("$folder/file"), $of_file, 'and did not');

set_command("echo hunter2 >&2; cat $folder/output");
is(attempt($command_id), 'ok', 'standard error is not the keyring');
like(slurp_file($node->logfile), qr/^hunter2$/m, 'it goes to the server\'s log');

set_command("head -c 1 $folder/output; sleep 0.3; tail -c +2 $folder/output");
is(attempt($command_id), 'ok', 'output that comes in pieces');

my $many = join '', map { my $key = pack('N8', (0) x 7, $_);
	unpack('H16', sha256("key_vault root key v1$key")) . ' ' .
	encode_base64($key, '') . " 2026-01-31T23:59:59Z\n" } 1 .. 10_000;
write_file('many', $many . $of_command);
set_command("cat $folder/many");
is(attempt($command_id), 'ok', '10,000 lines');

# --- What does not

refused('a command that fails', "cat $folder/output; echo hunter2; exit 3",
	'key_vault.keyring_command failed: child process exited with exit code 3');
refused('a command that is killed', 'echo hunter2; kill -9 $$',
	'failed: child process was terminated by signal 9');
refused('a command that is not there', 'exec /nonexistent/hunter2', 'failed: (child process exited with exit code 12[67]|command not)');
refused('a command that prints nothing', 'true', 'key_vault.keyring_command printed nothing');
refused('a command that prints garbage', 'echo hunter2 hunter2 hunter2',
	'line 1 of the keyring is not valid.*read from keyring_command');
refused('a command that prints a part', "head -c 60 $folder/output", 'line 1 of the keyring is not valid');
refused('a command that prints without end', 'exec yes "# hunter2"', 'printed more than 1048576 bytes');

# --- What hangs

$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command_timeout', '1s');
for my $case (
	[ 'hangs', "sleep 600 & echo \$! >$folder/child; echo \$\$ >$folder/shell; wait" ],
	[ 'ignores signals', "trap '' TERM INT HUP; sleep 600 & echo \$! >$folder/child; echo \$\$ >$folder/shell; while :; do wait; done" ],
	[ 'hangs after it printed', "cat $folder/output; sleep 600 & echo \$! >$folder/child; echo \$\$ >$folder/shell; wait" ],
	[ 'hangs after it closed its output', "cat $folder/output; exec >&-; sleep 600 & echo \$! >$folder/child; echo \$\$ >$folder/shell; wait" ])
{
	my ($name, $command) = @$case;
	unlink "$folder/child", "$folder/shell";
	my $start = time;
	refused("a command that $name", $command, 'did not finish within 1000 ms.*keyring_command_timeout');
	cmp_ok(time - $start, '<', 15, "a command that $name: for no longer than the time limit");
	ok(is_gone('shell') && is_gone('child'), "a command that $name is killed with its children");
}

$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command_timeout', '600s');
unlink "$folder/child", "$folder/shell";
set_command("sleep 600 & echo \$! >$folder/child; echo \$\$ >$folder/shell; wait");
like(attempt($command_id, "SET statement_timeout = '1s'; "), qr/ERROR:  57014: /, 'a query that waits can be cancelled');
ok(is_gone('shell') && is_gone('child'), 'and the command ends with it');

unlink "$folder/child", "$folder/shell";
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $backend = $session->query('SELECT pg_backend_pid()') =~ s{\R\z}{}r;
$session->query_until(qr/started/, "\\echo started\nSELECT key_vault.activate_root_key('$command_id');\n");
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if slurp_line('shell') =~ /^\d+$/;
	sleep 0.1;
}
$node->safe_psql('postgres', "SELECT pg_terminate_backend($backend)");
ok(is_gone('shell') && is_gone('child'), 'a session that is terminated ends its command');
eval { $session->quit };

# --- What the command sees

SKIP:
{
	skip 'there is no /proc', 4 unless -e '/proc/self/status';

	# exec: a shell in between would have its own idea of signals
	set_command("exec cat /proc/self/status >$folder/seen");
	attempt($command_id);
	like(slurp_file("$folder/seen"), qr/^SigBlk:\s*0+$/m, 'no signal is blocked');

	# 32 and 33 are the C library's own, and nobody else can change them
	like(slurp_file("$folder/seen"), qr/^SigIgn:\s*0000000[01][08]0000000$/m, 'none is ignored');

	set_command("exec ls -l /proc/self/fd >$folder/seen");
	attempt($command_id);
	my %seen = slurp_file("$folder/seen") =~ /(\d+) -> (\S+)/g;
	is_deeply([ grep { $seen{$_} !~ m{^/proc/} } sort keys %seen ],
		[ 0, 1, 2 ], 'the server\'s files and sockets are closed');
	is($seen{0}, '/dev/null', 'there is no input');
}

# --- Without it, the file is the keyring again

set_command('');
is(attempt($file_id), 'ok', 'without a command, the file is read');

# --- No word of a key

$node->stop;
my $log = slurp_file($node->logfile);
for my $line ($of_file, $of_command)
{
	my $key = (split / /, $line)[1];
	my @leaks = grep { index($log, substr($key, $_, 8)) >= 0 } 0 .. length($key) - 8;
	is_deeply(\@leaks, [], 'the server\'s log holds no part of a root key');
}

done_testing();
