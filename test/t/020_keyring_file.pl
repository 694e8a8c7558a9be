# The keyring as a file: whose it may be, where it may be, and every way in which it
# can be broken.  Each is F0000 with a message of its own, and no message holds a
# byte of a root key.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use MIME::Base64 qw(encode_base64);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Digest::SHA qw(sha256);
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $path = "$folder/keyring";

my $node = PostgreSQL::Test::Cluster->new('keyring_file');
$node->init;
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$path'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION key_vault');

# A line of a keyring, for a key that is made of one byte.
sub line
{
	my ($byte) = @_;
	my $key = chr($byte) x 32;
	my $id = unpack('H16', sha256("key_vault root key v1$key"));
	return "$id " . encode_base64($key, '') . " 2026-01-31T23:59:59Z\n";
}

sub id_of
{
	return substr(shift, 0, 16);
}

sub write_file
{
	my ($file, $content, $mode) = @_;
	unlink $file;
	open my $handle, '>:raw', $file or die "$file: $!";
	print $handle $content;
	close $handle;
	chmod($mode // 0600, $file) or die "$file: $!";
	return;
}

sub set_path
{
	my ($new) = @_;
	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', "'$new'");
	$node->reload;

	# psql's own session is a new one, but a server takes a moment to reload
	$node->poll_query_until('postgres',
		"SELECT current_setting('key_vault.keyring_file') = '$new'")
	  or die 'the setting did not arrive';
	return;
}

# What a fresh session says when it needs a root key, on one line.
sub attempt
{
	my ($id) = @_;
	my ($code, $out, $err) =
	  $node->psql('postgres', "SELECT key_vault.activate_root_key('$id')",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/\n/ /g;
	return $code == 0 ? 'ok' : $err;
}

my $first = line(1);
my $second = line(2);
my $id = id_of($first);

sub refused
{
	my ($name, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = attempt($id);
	like($answer, qr/^psql:<stdin>:1: ERROR:  F0000: .*$pattern/, $name);
	return;
}

# --- Files that will do

write_file($path, $first);
is(attempt($id), 'ok', 'a keyring of one line');
write_file($path, $first, 0400);
is(attempt($id), 'ok', 'mode 0400');
write_file($path, "# comment\n\n$first# another\n$second");
is(attempt($id), 'ok', 'comments and empty lines');
(my $crlf = "# comment\n$first$second") =~ s/\n/\r\n/g;
write_file($path, $crlf);
is(attempt(id_of($second)), 'ok', 'CRLF');
write_file("$folder/elsewhere", $first);
unlink $path;
symlink("$folder/elsewhere", $path);
is(attempt($id), 'ok', 'a symbolic link is followed');
chmod 0644, "$folder/elsewhere";
refused('the rule holds for what a symbolic link leads to', 'can be used by others');
unlink $path;

my $many = join '', map { my $key = pack('N8', (0) x 7, $_);
	unpack('H16', sha256("key_vault root key v1$key")) . ' ' .
	encode_base64($key, '') . " 2026-01-31T23:59:59Z\n" } 1 .. 10_000;
write_file($path, $many);
is(attempt(id_of($many)), 'ok', '10,000 lines: the first');
is(attempt(id_of((split /^/, $many)[-1])), 'ok', '10,000 lines: the last');
refused('10,000 lines: not one of them', "root key $id is not in the keyring");

# --- Files that will not do

unlink $path;
refused('missing', "could not open file \"\Q$path\E\": No such file .*HINT:");
symlink("$folder/nowhere", $path);
refused('a symbolic link to nothing', 'is a symbolic link that leads nowhere');
write_file($path, '');
refused('empty', "file \"\Q$path\E\" is empty");
write_file($path, "# comments only\n");
refused('without a root key', "the keyring holds no root key.*\Q$path\E");
write_file($path, $first, 0000);
refused('unreadable', 'could not open file .*Permission denied.*HINT:');
write_file($path, $first, 0644);
refused('mode 0644', "can be used by others: its mode is 0644.*chmod 0600 \"\Q$path\E\"");
write_file($path, $first, 0640);
refused('mode 0640', 'can be used by others: its mode is 0640');
unlink $path;
mkdir $path;
refused('a folder', "\"\Q$path\E\" is a folder, not a file");
rmdir $path;
mkfifo($path, 0600);
refused('a named pipe, which does not hang', "\"\Q$path\E\" is not a regular file");
write_file($path, '#' x (1024 * 1024 + 1));
refused('too large', 'is too large.*1048577 bytes; at most 1048576');
write_file($path, join '', map { chr(int(rand(256))) } 1 .. 500);
refused('random bytes', 'line \d+ of the keyring is not valid');
write_file($path, "$first\0");
refused('a NUL', 'line 2 of the keyring is not valid');
(my $bare_cr = $first) =~ s/\n/\r/;
write_file($path, "$bare_cr$second");
refused('a CR that ends no line', 'line 1 of the keyring is not valid');
write_file($path, "$first# two of them\n$second$first");
refused('a root key that is there twice', 'line 4 of the keyring is not valid: .*twice');
write_file($path, id_of($first) . substr($second, 16));
refused('another key\'s id', 'line 1 .*the id does not belong');
set_path('/dev/null');
refused('a device', '"/dev/null" is not a regular file');
set_path("$folder/keyring/below");
refused('below a file', 'could not open file .*Not a directory');
set_path('/etc/passwd');
refused('root\'s, and readable by all', 'can be used by others.*chmod 0640');

SKIP:
{
	my ($foreign) = grep { length && -f $_ && -r $_ && (stat $_)[4] != $> && (stat $_)[4] != 0 }
	  $ENV{KV_FILE_OF_NOBODY} // '', glob('/var/cache/man/* /var/cache/man/*/* /var/log/* /var/lib/*/* /var/spool/*/* /var/mail/*');
	skip 'this machine has no readable file of a third user', 1 unless defined $foreign;
	set_path($foreign);
	refused('another user\'s file', 'belongs to another user.*HINT:  Run: chown');
}

# --- Places that will not do

my $data = $node->data_dir;
write_file("$data/keyring", $first);
set_path("$data/keyring");
refused('inside the data directory', 'must not be inside the data directory.*pg_upgrade');
symlink("$data/keyring", "$folder/link");
set_path("$folder/link");
refused('a symbolic link into the data directory', 'must not be inside the data directory');
symlink($data, "$folder/data");
set_path("$folder/data/base/../keyring");
refused('the data directory by another name', 'must not be inside the data directory');

make_path("$folder/tablespace");
$node->safe_psql('postgres', "CREATE TABLESPACE kv LOCATION '$folder/tablespace'");
write_file("$folder/tablespace/keyring", $first);
set_path("$folder/tablespace/keyring");
refused('inside a tablespace', 'must not be inside the data directory');

set_path("$data/new_keyring");
my (undef, undef, $err) = $node->psql('postgres', 'SELECT key_vault.create_root_key()');
like($err, qr/must not be inside the data directory/, 'nor is one made there');
ok(!glob("$data/new_keyring*"), 'and nothing is left there');

my $sibling = "$data-not";
mkdir $sibling;
write_file("$sibling/keyring", $first);
set_path("$sibling/keyring");
is(attempt($id), 'ok', 'a folder whose name begins like the data directory\'s');

set_path('');
refused('none configured',
	'no keyring is configured.*ALTER SYSTEM SET key_vault.keyring_file.*SELECT pg_reload_conf');
my ($code) = $node->psql('postgres',
	"LOAD 'key_vault'; ALTER SYSTEM SET key_vault.keyring_file = 'relative/keyring'");
isnt($code, 0, 'a relative path is refused when it is set');

# --- Cut and changed

set_path($path);
my $fields = length($first) - 1;
my @opened;
for my $length (0 .. $fields - 1)
{
	write_file($path, substr($first, 0, $length));
	my $answer = attempt($id);
	push @opened, "$length: $answer" unless $answer =~ /ERROR:  F0000: /;
}
is_deeply(\@opened, [], 'a line cut short at any byte is refused');
write_file($path, substr($first, 0, $fields));
is(attempt($id), 'ok', 'only the end of the last line may be missing');
write_file($path, $second . substr($first, 0, $fields - 1));
refused('and what is cut is not skipped', 'line 2 of the keyring is not valid');

@opened = ();
for my $position (0 .. 16 + 1 + 44)
{
	my $changed = $first;
	substr($changed, $position, 1) = chr(ord(substr($first, $position, 1)) ^ 1);
	write_file($path, $changed);
	my $answer = attempt($id);
	push @opened, "$position: $answer" unless $answer =~ /ERROR:  F0000: /;
}
is_deeply(\@opened, [], 'a changed byte in the id or in the key is refused');

# --- A session that has a keyring keeps it

write_file($path, $first);
my $session = $node->background_psql('postgres', on_error_stop => 0);
is($session->query("SELECT key_vault.root_key_in_ring('$id')"), 't', 'a session reads the keyring');

write_file($path, "garbage\n");
is($session->query("SELECT key_vault.root_key_in_ring('$id')"), 't', 'it does not read it again for a key that it has');
is($session->{stderr}, '', 'and so says nothing');
is($session->query("SELECT key_vault.root_key_in_ring('" . id_of($second) . "') FROM generate_series(1, 5)"),
	join("\n", ('f') x 5), 'a key that it lacks makes it read the keyring again');
is(() = $session->{stderr} =~ /WARNING:  could not read the keyring: line 1/g, 1,
	'which fails with one WARNING in a statement');
$session->{stderr} = '';
is($session->query("SELECT key_vault.root_key_in_ring('$id')"), 't', 'the old keyring serves on');

write_file($path, "$first$second");
is($session->query("SELECT key_vault.root_key_in_ring('" . id_of($second) . "')"), 't',
	'a key that came later is found');
is($session->{stderr}, '', 'without a word');

write_file("$folder/third", line(3));
$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', "'$folder/third'");
$node->reload;
my $third = id_of(line(3));
for (1 .. 100)
{
	last if $session->query("SELECT key_vault.root_key_in_ring('$id')") eq 'f';
	select undef, undef, undef, 0.1;
}
is($session->query("SELECT key_vault.root_key_in_ring('$third')"), 't', 'another file takes effect in a running session');
is($session->query("SELECT key_vault.root_key_in_ring('$id')"), 'f', 'and the old one is gone');
$session->{stderr} = '';
$session->quit;

# --- No word of a key

$node->stop;
my $log = slurp_file($node->logfile);
for my $line ($first, $second)
{
	my $key = (split / /, $line)[1];
	my @leaks = grep { index($log, substr($key, $_, 8)) >= 0 } 0 .. length($key) - 8;
	is_deeply(\@leaks, [], 'the server\'s log holds no part of a root key');
}

done_testing();
