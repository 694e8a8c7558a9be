# The keyring as a file: whose it may be, where it may be, and every way in which it
# can be broken.  Each is F0000 with a message of its own, and no message holds a
# byte of a root key.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use MIME::Base64 qw(encode_base64);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Digest::SHA qw(sha256);
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $path = "$folder/keyring";

my $node = PostgreSQL::Test::Cluster->new('keyring_file');
init_cluster($node);
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
write_file($path, "\xef\xbb\xbf$crlf");
is(attempt(id_of($second)), 'ok', 'a byte order mark before it');
write_file($path, "\xef\xbb\xbf$first");
is(attempt($id), 'ok', 'a byte order mark before the first root key');
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
set_path("$folder/no/such/keyring");
$node->safe_psql('postgres', 'TRUNCATE key_vault_data.root_key_registry');
for my $call ("SELECT key_vault.activate_root_key('$id')", 'SELECT key_vault.create_root_key()')
{
	my (undef, undef, $err) = $node->psql('postgres', $call, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/F0000: folder "\Q$folder\E\/no\/such" does not exist\nHINT:  Make it, as root: install -d -o \S+ -m 0700 "\Q$folder\E\/no\/such"$/m, "no folder: $call");
	next if $call !~ /create/;
	my ($command) = $err =~ /as root: (.*)$/m;
	system($command);
	is((stat "$folder/no/such")[2] & 07777, 0700, 'the hint, which its owner can follow as well, makes it');
	like($node->safe_psql('postgres', $call), qr/^[0-9a-f]{16}$/, 'and then a root key can be made');
}
$node->safe_psql('postgres', 'TRUNCATE key_vault_data.root_key_registry');
set_path($path);
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
write_file($path, "\xff\xfe" . join '', map { "$_\0" } split //, $first);
refused('UTF-16', 'line 1 of the keyring is not valid.*HINT:  A line has the form');
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
refused('root\'s, and readable by all', 'can be used by others.*HINT:  Run, as root: chgrp \S+ "/etc/passwd" && chmod 0640 "/etc/passwd"'
	  . '.*run: LOAD \'key_vault\'; ALTER SYSTEM SET key_vault.keyring_command = \'cat "/etc/passwd"\'; SELECT pg_reload_conf\(\);');

SKIP:
{
	my ($foreign) = grep { length && -f $_ && -r $_ && (stat $_)[4] != $> && (stat $_)[4] != 0 }
	  $ENV{KV_FILE_OF_NOBODY} // '', glob('/var/cache/man/* /var/cache/man/*/* /var/log/* /var/lib/*/* /var/spool/*/* /var/mail/*');
	skip 'this machine has no readable file of a third user', 1 unless defined $foreign;
	set_path($foreign);
	refused('another user\'s file', 'belongs to another user.*HINT:  Run: chown');
}

# As a container mounts a secret: what the hint says helps, also when a shell would read the path in its own way
SKIP:
{
	my $mounted = $ENV{KV_FILE_OF_ROOT} // '';
	skip 'there is no keyring of root\'s that all may read: check.sh makes one', 6 unless -r $mounted && (stat $mounted)[4] == 0;
	my $of_root = id_of(slurp_file($mounted));
	my $odd = "$folder/a \$HOME \"b\" `c`";
	symlink($mounted, $odd) or die "$odd: $!";
	for my $path ($mounted, $odd)
	{
		set_path($path);
		my (undef, undef, $err) = $node->psql('postgres', "SELECT key_vault.activate_root_key('$of_root')");
		my ($hint) = $err =~ /^HINT:.*\n.*\n(LOAD 'key_vault';\nALTER SYSTEM .*;\nSELECT pg_reload_conf\(\);)$/m;
		like($hint // $err, qr/keyring_command/, 'root\'s, and readable by all: the hint has statements');
		is(($node->psql('postgres', $hint))[0], 0, '... that can be run');
		$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.keyring_command') <> ''}) or die;
		is(attempt($of_root), 'ok', '... and then it is read');
		$node->safe_psql('postgres', q{LOAD 'key_vault'; ALTER SYSTEM RESET key_vault.keyring_command});
		$node->reload;
		$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.keyring_command', true) IS NOT DISTINCT FROM ''
			OR current_setting('key_vault.keyring_command', true) IS NULL}) or die;
	}
}

# As an administrator installs one: the server can read it, and not change it
SKIP:
{
	my $installed = ($ENV{KV_FILE_OF_ROOT} // '') . '_for_group';
	skip 'there is no keyring of root\'s for the server\'s group: check.sh makes one', 1 unless -r $installed && (stat $installed)[4] == 0;
	set_path($installed);
	is(attempt(id_of(slurp_file($installed))), 'ok', 'root\'s, and readable by the server\'s group');
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
	"no keyring is configured.*LOAD 'key_vault'; ALTER SYSTEM SET key_vault.keyring_file = '/etc/postgresql/key_vault/%d.keyring'; SELECT pg_reload_conf");
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

write_file($path, "$first$second");
$node->safe_psql('postgres', "SELECT key_vault.activate_root_key('" . id_of($second) . "'); SELECT key_vault.set('user_b', 'exa', 'exa-key-of-user-b')");
$node->safe_psql('postgres', "SELECT key_vault.activate_root_key('$id'); SELECT key_vault.set('user_a', 'exa', 'exa-key-of-user-a')");
write_file($path, $first);
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $get = q{SELECT key_vault.get('user_a', 'exa')};

# What the session says, and what it warns of since the last time
sub says
{
	my ($sql) = @_;
	$session->{stderr} = '';
	# 16 leaves its mark for the end, or a line end, in some minor releases
	return $session->query($sql) =~ s{(?:^background_psql: QUERY_SEPARATOR)?\R*\z}{}r;
}

sub in_ring
{
	my ($which) = @_;
	return "SELECT coalesce(key_vault.root_key_in_ring('$which')::text, 'unknown')";
}

is(says($get), 'exa-key-of-user-a', 'a session reads the keyring');
write_file($path, "garbage\n");
is(says($get), 'exa-key-of-user-a', 'it does not read it again for a key that it has');
is($session->{stderr}, '', 'and so says nothing');
is(says(q{SELECT key_vault.get('user_b', 'exa')}), '', 'what it lacks makes it read again');
like($session->{stderr}, qr/WARNING:  could not read the keyring: line 1.*ERROR:  root key @{[ id_of($second) ]} is not in memory, and the keyring cannot be read/s,
	'and is not said to be missing');
is(says(q{SELECT key_vault.get_all('user_b')}), '{"exa": null}', 'nor by get_all');
like($session->{stderr}, qr/whether the keyring has its root key @{[ id_of($second) ]} is not known, for it cannot be read.*nothing is known to be lost/s, 'which says the same');
is(says(q{SELECT detail FROM key_vault.status() WHERE item = 'sealed_rows'}),
	"1 of 2 secrets does not open: 1 sealed with root key @{[ id_of($second) ]}, which the keyring may have: it cannot be read.", 'nor by status');
is(says(in_ring(id_of($second)) . ' FROM generate_series(1, 5)'),
	join("\n", ('unknown') x 5), 'who asks what the keyring holds makes it read again');
is(() = $session->{stderr} =~ /WARNING:  could not read the keyring: line 1/g, 1,
	'which fails with one WARNING in a statement');
like($session->{stderr}, qr/goes on with the keyring that it read from file "\Q$path\E"/, 'that says what it goes on with');
is(says(in_ring($id)), 'unknown', 'nor is it told of a key that only the memory is known to hold');
is(says($get), 'exa-key-of-user-a', 'the old keyring serves on');
write_file($path, $first);
is(says(q{SELECT key_vault.get('user_b', 'exa')}), '', 'when it can be read,');
like($session->{stderr}, qr/ERROR:  root key @{[ id_of($second) ]} is not in the keyring/, 'it is said to be missing');
like(says(q{SELECT detail FROM key_vault.status() WHERE item = 'sealed_rows'}),
	qr/^1 of 2 secrets does not open: 1 sealed with root key @{[ id_of($second) ]}, which the keyring lacks\./, 'by status, too');

write_file($path, "$first$second");
is(says(in_ring(id_of($second))), 'true', 'a key that came later is found');
is($session->{stderr}, '', 'without a word');
write_file($path, $second);
is(says(in_ring($id)), 'false', 'a key that is no longer in the file is not taken for one that is');

write_file("$folder/third", line(3) . $first);
$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', "'$folder/third'");
$node->reload;
my $third = id_of(line(3));
for (1 .. 100)
{
	last if says(in_ring(id_of($second))) eq 'false' && says(in_ring($third)) eq 'true';
	select undef, undef, undef, 0.1;
}
is(says(in_ring($third)), 'true', 'another file takes effect in a running session');
is(says(in_ring(id_of($second))), 'false', 'and the old one is gone');
$session->{stderr} = '';
$session->quit;

# --- What the view says of it

sub states
{
	return $node->safe_psql('postgres', "SELECT string_agg(DISTINCT state, ' ') FROM key_vault.root_keys WHERE id = '$id'");
}

set_path($path);
write_file($path, $first);
is(states(), 'active', 'the view: active');
write_file($path, $second);
is(states(), 'missing', 'the view: a keyring that was read and lacks it');
unlink $path;
is(states(), 'unknown', 'the view: no file');
write_file($path, '');
is(states(), 'unknown', 'the view: an empty file');
write_file($path, "# nothing\n");
is(states(), 'unknown', 'the view: a file without any root key');
write_file($path, $first, 0644);
is(states(), 'unknown', 'the view: a file of a wrong mode');
is($node->safe_psql('postgres', q{SELECT state || ': ' || detail || ' ' || remedy FROM key_vault.status() WHERE item = 'root_key'}),
	"error: Root key $id is active. Whether the keyring holds it is not known. See to it that the keyring can be read: the next row says what is wrong with it.",
	'status: nothing is said to be missing');
is($node->safe_psql('postgres', q{SELECT string_agg(item, ' ') FROM key_vault.status() WHERE remedy ~* 'delete|discard'}), '',
	'and nobody is told to delete');
for my $call ("CALL key_vault.discard_secrets('$id')", "CALL key_vault.discard_secrets('" . id_of($second) . "')")
{
	my (undef, undef, $err) = $node->psql('postgres', $call, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:  F0000: .*can be used by others/, "while it cannot be read: $call");
}
write_file($path, $first);
is(states(), 'active', 'the view: readable again');
is($node->safe_psql('postgres', $get), 'exa-key-of-user-a', 'and all is there');

# Nothing else decides whether it can be read
for my $mode (qw(auto development production))
{
	$node->adjust_conf('postgresql.conf', 'key_vault.mode', $mode);
	$node->adjust_conf('postgresql.conf', 'key_vault.dotenv_file', "'$folder/no/such/.env'");
	$node->restart;
	is(states(), 'active', "the view: mode $mode, with a .env file that is not there");
	is($node->safe_psql('postgres', q{SELECT string_agg(state, ' ') FROM key_vault.status() WHERE item IN ('root_key', 'keyring') AND state = 'error'}), '',
		"status: mode $mode, with a .env file that is not there");
}
$node->adjust_conf('postgresql.conf', 'key_vault.dotenv_file', q{''});
$node->adjust_conf('postgresql.conf', 'key_vault.mode', 'auto');
$node->reload;

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
