# Twenty sessions in two databases that make root keys at once lose none; a rolled-back
# create does no harm; a server that is killed meanwhile leaves a keyring that can be read.
use strict;
use warnings;

use Fcntl qw(:flock);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $folder = PostgreSQL::Test::Utils::tempdir;
my $path = "$folder/keyring";
my $node = PostgreSQL::Test::Cluster->new('create_root_key');
init_cluster($node);
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$path'\n");
$node->start;

my @databases = ('postgres', 'second');
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql($_, 'CREATE EXTENSION key_vault') for @databases;

sub ids_in_keyring
{
	my @ids = sort(slurp_file($path) =~ /^([0-9a-f]{16}) /mg);
	return @ids;
}

sub ids_in
{
	my ($database) = @_;
	my @ids = split /\n/,
	  $node->safe_psql($database, 'SELECT id FROM key_vault.root_keys ORDER BY id COLLATE "C"');
	return @ids;
}

# As an administrator replaces it
sub replace_file
{
	my ($text) = @_;
	append_to_file("$path.new", $text);
	chmod 0400, "$path.new";
	rename "$path.new", $path or die $!;
	return;
}

sub states_in
{
	my ($database) = @_;
	return $node->safe_psql($database,
		'SELECT state, count(*) FROM key_vault.root_keys GROUP BY state ORDER BY state');
}

# Sessions that make root keys, in either database by turns.  They read and write
# files, so that they run at the same time without this process.
sub start_sessions
{
	my ($sessions, $keys) = @_;
	open my $handle, '>', "$folder/statements" or die $!;
	print $handle "SELECT key_vault.create_root_key();\n" x $keys;
	close $handle;
	return map {
		IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr($databases[$_ % 2]), '-f', "$folder/statements" ],
			'<', '/dev/null', '>', "$folder/out$_", '2>', "$folder/err$_")
	} 1 .. $sessions;
}

# --- At once

my $per_session = 3;
$_->finish for start_sessions(20, $per_session);
my @created = map { split /\n/, slurp_file("$folder/out$_") } 1 .. 20;
my $errors = join '', map { slurp_file("$folder/err$_") } 1 .. 20;
is($errors, '', 'twenty sessions make root keys at once');
is(scalar(@created), 20 * $per_session, 'each gets the ids that it asked for');
is_deeply([ ids_in_keyring() ], [ sort @created ], 'all of them are in the keyring, once');
is_deeply([ sort map { ids_in($_) } @databases ], [ sort @created ], 'all of them are registered');
for my $database (@databases)
{
	is(states_in($database), "active|1\nstandby|" . (10 * $per_session - 1),
		"one of them is active in database $database");
	like(slurp_file($path), qr/ # database "$database" \[\d+(?:\/\d+){2}\]$/m, "the keyring names database $database");
}
is((stat $path)[2] & 07777, 0600, 'the keyring is for the server only');
ok(!-e "$path.key_vault-tmp", 'no temporary file is left');

# A keyring keeps what an administrator wrote, and a last line without its end.
my $before = slurp_file($path) . '# the end';
open my $handle, '>', $path or die $!;
print $handle $before;
close $handle;
chmod 0400, $path;
my $late = $node->safe_psql('second', 'SELECT key_vault.create_root_key()');
like(slurp_file($path), qr/^\Q$before\E\n$late \S{44} \S+Z # database "second" \[\d+(?:\/\d+){2}\]\n\z/, 'what is in the file stays');
is((stat $path)[2] & 07777, 0400, 'and so does its mode');

# A symbolic link stays one.
rename $path, "$folder/real";
symlink "$folder/real", $path;
$node->safe_psql('second', 'SELECT key_vault.create_root_key()');
ok(-l $path, 'a symbolic link is not replaced');
is(scalar(ids_in_keyring()), 20 * $per_session + 2, 'but the file that it leads to');
unlink $path;
rename "$folder/real", $path;

# --- Rolled back

my @registered = ids_in('postgres');
my $lines = ids_in_keyring();
my $rolled_back = $node->safe_psql('postgres',
	'BEGIN; SELECT key_vault.create_root_key(); ROLLBACK');
is_deeply([ ids_in('postgres') ], \@registered, 'a rolled-back create registers nothing');
ok((grep { $_ eq $rolled_back } ids_in_keyring()), 'its root key is in the keyring');
my $loop = join ' ', map { "BEGIN; SELECT key_vault.create_root_key(); SAVEPOINT s; SELECT key_vault.create_root_key(); ROLLBACK TO s; ROLLBACK;" } 1 .. 50;
my %looped = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', $loop);
is(scalar(ids_in_keyring()), $lines + 2, 'a loop of them adds as many as one transaction makes');
ok($looped{$rolled_back}, 'it takes what is there');

# Another database, which shares the file, takes none of it
my $of_second = $node->safe_psql('second', 'SELECT key_vault.create_root_key()');
ok(!$looped{$of_second}, 'another database makes a root key of its own');

my @taken = map { $node->safe_psql('postgres', 'SELECT key_vault.create_root_key()') } 1 .. 3;
is_deeply([ map { $looped{$_} ? 'taken' : 'made' } @taken ], [qw(taken taken made)], 'calls that are committed take them, then make one');
is_deeply([ ids_in('postgres') ], [ sort @registered, @taken ], 'and register them');
is(scalar(ids_in_keyring()), $lines + 4, 'each is in the keyring once');

# What is left for more than an hour stays: it may have leaked meanwhile.  What another database
# made is its own, whatever its name is now
{
	my $left = $node->safe_psql('postgres', 'BEGIN; SELECT key_vault.create_root_key(); ROLLBACK');
	my $text = slurp_file($path);
	my ($numbers) = $text =~ /^$left .*\[(.*)\]$/m;
	my @other = split '/', $numbers;
	for my $case ([ 'made two hours ago', sub { my ($line) = @_; $line =~ s/ \S+Z / 2020-01-01T00:00:00Z /; $line } ],
		[ 'made in time to come', sub { my ($line) = @_; $line =~ s/ \S+Z / 2200-01-01T00:00:00Z /; $line } ],
		[ 'of another database with this name', sub { my ($line) = @_; $line =~ s/\/$other[1]\//\/99999\//; $line } ],
		[ 'of the extension as it was installed before', sub { my ($line) = @_; $line =~ s/\/$other[2]\]/\/99999\]/; $line } ],
		[ 'of another cluster', sub { my ($line) = @_; $line =~ s/\[$other[0]/[12345/; $line } ],
		[ 'of nobody in particular', sub { my ($line) = @_; $line =~ s/ \[.*\]//; $line } ])
	{
		my ($name, $change) = @$case;
		(my $changed = $text) =~ s/^($left .*)$/$change->($1)/me;
		isnt($changed, $text, "$name: the line is changed");
		replace_file($changed);
		is($node->safe_psql('postgres', "BEGIN; SELECT key_vault.create_root_key() = '$left'; ROLLBACK"), 'f', "$name: it is not taken");
		replace_file($text);
	}
	my ($out, $err);
	$node->psql('postgres', 'SELECT key_vault.create_root_key()', stdout => \$out, stderr => \$err);
	is($out, $left, 'as it was, it is');
	like($err, qr/NOTICE:  root key $left was in the keyring/, 'with a word about it');
}

my ($code, $out, $err) = $node->psql('postgres',
	'BEGIN READ ONLY; SELECT key_vault.create_root_key()',
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  25006: /, 'a read-only transaction makes none');

# Another snapshot than the latest one must not make two of them active.
$node->safe_psql('second', 'CREATE TABLE seen (id text)');
$out = $node->safe_psql('second', q{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT count(*) > 0 FROM key_vault.root_keys;
	SELECT count(key_vault.create_root_key()) FROM generate_series(1, 2);
	COMMIT;});
is($out, "t\n2", 'REPEATABLE READ');
like(states_in('second'), qr/^active\|1\n/, 'there still is one active root key');

# --- Nothing is minted over old data

my @lines = split /^/, slurp_file($path);
my ($lost) = grep { /^$registered[0] / } @lines;
my $whole = join '', @lines;
my $without = join '', grep { $_ ne $lost } @lines;
for my $case ([ 'lacks a root key', $without ], [ 'is empty', '' ],
	[ 'is missing', undef ], [ 'holds comments only', "# nothing\n" ], [ 'is damaged', "$whole garbage\n" ])
{
	my ($name, $content) = @$case;
	unlink $path;
	if (defined $content)
	{
		open $handle, '>', $path or die $!;
		print $handle $content;
		close $handle;
		chmod 0600, $path;
	}
	(undef, undef, $err) = $node->psql('postgres', 'SELECT key_vault.create_root_key()',
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:  F0000: .*(is not in the keyring|of the keyring is not valid)/, "nothing is made when the keyring $name");
	is(-e $path ? slurp_file($path) : undef, $content, 'and the file is left alone');
}
open $handle, '>', $path or die $!;
print $handle $whole;
close $handle;
chmod 0600, $path;

# --- Never half written

# Large, so that writing it takes a while
append_to_file($path, ('#' x 79 . "\n") x 5000);
my $expected = ids_in_keyring() + 8 * 20;
my @sessions = start_sessions(8, 20);
my ($seen, $looks, $torn) = ('', 0, 0);
while ($looks < 100_000)
{
	my $now = eval { slurp_file($path) } // '';
	$looks++;
	$torn++ if substr($now, 0, length $seen) ne $seen || $now !~ /\n\z/;
	$seen = $now;
	last if (() = $now =~ /^[0-9a-f]{16} /mg) == $expected;
}
$_->finish for @sessions;
is($torn, 0, "of $looks looks at the keyring, each shows all that the one before did");
is(scalar(ids_in_keyring()), $expected, 'while it grew');

# --- Killed in the middle

my $lock = "$path.lock";
ok(-e $lock, 'the lock file stays');
for my $round (1 .. 5)
{
	my @known = ids_in_keyring();
	my @clients = start_sessions(8, 500);
	my @backends = split /\n/, $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
	sleep 0.01 while ids_in_keyring() < @known + 5;
	sleep rand(0.05);
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	$node->kill9;
	kill 'KILL', @backends;
	eval { $_->finish } for @clients;

	# A server that is dead but not yet reaped, and those of its processes that have not
	# noticed yet, keep the next one from starting
	my $data = $node->data_dir;
	for (1 .. 1000)
	{
		last unless kill(0, $postmaster) || grep { (readlink // '') eq $data } glob '/proc/[0-9]*/cwd';
		sleep 0.02;
	}
	$node->start;

	# What was registered must be there: the file comes before the row
	my %present = map { $_ => 1 } ids_in_keyring();
	is_deeply([ grep { !$present{$_} } @known, map { ids_in($_) } @databases ], [],
		"killed, round $round: every registered root key is in the keyring");
	is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault.root_keys WHERE state = 'missing'"),
		'0', "killed, round $round: the server reads it");
	is(length($node->safe_psql('second', 'SELECT key_vault.create_root_key()')), 16,
		"killed, round $round: the next one can be made");
	ok(!-e "$path.key_vault-tmp", "killed, round $round: no temporary file is left");
}

# --- The lock

open my $holder, '<', $lock or die $!;
flock($holder, LOCK_EX) or die $!;
(undef, undef, $err) = $node->psql('postgres',
	"SET statement_timeout = '1s'; SELECT key_vault.create_root_key()",
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  57014: /, 'who waits for the lock can be cancelled');
close $holder;
is(length($node->safe_psql('postgres', 'SELECT key_vault.create_root_key()')), 16, 'and the next one gets it');

$node->stop;
done_testing();
