# A base backup carries no keyring and no key; restored elsewhere it opens with a copy of
# the keyring.  Recovery to a point before, or in the middle of, a rotation opens with the
# keyring that still holds the old root key, and with no other.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $primary = new_vault('primary', init => [ allows_streaming => 1, has_archiving => 1 ]);
my $super = session($primary);
my $users = 40;
my $first = $super->value('SELECT id FROM key_vault.root_keys');

sub key_of
{
	return "AIza-canary-7f3a9c-of-user-$_[0]";
}

$super->value(q{SELECT key_vault.set($1, 'gemini', $2)}, "user_$_", key_of($_)) for 1 .. $users;

# How many of the users' keys open, and are the right ones.
sub opened
{
	my ($node) = @_;
	my $session = session($node);
	my $got = $session->query(q{SELECT u, key_vault.get('user_' || u, 'gemini') FROM generate_series(1, $1::int) u}, $users);
	return $got->{error}{state} if $got->{error};
	return scalar grep { ($_->[1] // '') eq key_of($_->[0]) } @{ $got->{rows} };
}

sub states
{
	my ($node) = @_;
	return session($node)->value(
		q{SELECT string_agg(state || ' ' || secrets, ', ' ORDER BY activated_at) FROM key_vault.root_keys});
}

# --- What is in a backup

$primary->backup('base');
my @files;
find(sub { push @files, $File::Find::name if -f }, $primary->backup_dir . '/base');
my $ring = slurp_file(keyring_path($primary));
my ($root_key) = $ring =~ /^$first (\S+) /m or die 'the keyring has no such line';
my %forbidden = (
	'the root key in base64' => $root_key,
	'half of the root key in base64' => substr($root_key, 0, 22),
	'the root key in bytes' => decode_base64($root_key),
	'the root key in hex' => unpack('H*', decode_base64($root_key)),
	'a key' => 'canary-7f3a9c');
my %found = map { $_ => [] } keys %forbidden;
my $ids = 0;
for my $file (@files)
{
	my $content = slurp_file($file);
	$ids++ if index($content, $first) >= 0;
	for my $what (keys %forbidden)
	{
		push @{ $found{$what} }, $file if index($content, $forbidden{$what}) >= 0;
	}
}
is_deeply($found{$_}, [], "no file of a base backup holds $_") for sort keys %forbidden;
ok($ids > 0, 'the search would have found it: the id of the root key is there');
ok(!(grep { /keyring/ } @files), 'nor is there a keyring');

# --- Rotation, with points before it and in its middle to go back to

$super->run(q{SELECT pg_create_restore_point('before rotation')});
my $second = $super->value('SELECT key_vault.create_root_key()');
$super->value('SELECT key_vault.activate_root_key($1)', $second);

my $blocker = session($primary);
$blocker->run('BEGIN', q{SELECT FROM key_vault.secrets WHERE user_id = 'user_7' FOR UPDATE});
my $rotation = session($primary);
$rotation->send('CALL key_vault.rotate_root_key(10)');
$primary->poll_query_until('postgres', "SELECT done = $users - 1 FROM key_vault.rotation_progress");
$super->run(q{SELECT pg_create_restore_point('middle of rotation')});
$blocker->run('ROLLBACK');
is($rotation->receive->{error}, undef, 'the rotation goes on when the row is free');
$super->value('SELECT key_vault.retire_root_key($1)', $first);
is(states($primary), "retired 0, active $users", 'and is complete');

# As an admin might do too early: the old root key goes from the keyring
copy(keyring_path($primary), "$folder/both");
my $without = join '', grep { !/^$first / } split /^/, slurp_file("$folder/both");
write_keyring("$folder/second", $without);
write_keyring("$folder/first", $ring);
chmod 0600, "$folder/both";

sub write_keyring
{
	my ($path, $content) = @_;
	unlink $path;
	append_to_file($path, $content);
	chmod 0600, $path;
	return;
}

my $last = $super->value('SELECT pg_walfile_name(pg_current_wal_lsn())');
$super->run('SELECT pg_switch_wal()');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver");

# --- Elsewhere

sub restored
{
	my ($name, $keyring, $point) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($primary, 'base', has_restoring => defined $point, standby => 0);
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/$name'\n" . "archive_mode = off\n"
		. (defined $point ? "recovery_target_name = '$point'\nrecovery_target_action = promote\n" : ''));
	copy($keyring, "$folder/$name") if defined $keyring;
	chmod 0600, "$folder/$name";
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	return $node;
}

my $elsewhere = restored('elsewhere');
is(opened($elsewhere), 'F0000', 'restored elsewhere without a keyring: nothing opens');
copy("$folder/first", "$folder/elsewhere");
chmod 0600, "$folder/elsewhere";
is(opened($elsewhere), $users, 'with a copy of it, everything does');
$elsewhere->stop('immediate');

my $before = restored('before', "$folder/second", 'before rotation');
is(session($before)->query(q{SELECT key_vault.get('user_1', 'gemini')})->{error}{message},
	"root key $first is not in the keyring", 'before the rotation, with the new root key only: the missing one is named');
is(states($before), "missing $users", 'and shown');
copy("$folder/both", "$folder/before");
is(opened($before), $users, 'before the rotation, with both: everything opens');
is(states($before), "active $users", 'under the old root key, which is active again');
outcome_is(session($before), '', 'the new one can be registered once more', 'SELECT key_vault.activate_root_key($1)', $second);
session($before)->run('CALL key_vault.rotate_root_key()');
is(states($before), "standby 0, active $users", 'and rotated to');
$before->stop('immediate');

my $middle = restored('middle', "$folder/both", 'middle of rotation');
is(states($middle), 'standby 1, active ' . ($users - 1), 'in the middle of the rotation: both root keys seal');
is(opened($middle), $users, 'and everything opens');
outcome_is(session($middle), 'interrupted', 'the rotation counts as interrupted', 'SELECT state FROM key_vault.rotation_progress');
session($middle)->run('CALL key_vault.rotate_root_key()');
is(states($middle), "standby 0, active $users", 'and is taken up again');
outcome_is(session($middle), '', 'to its end', 'SELECT key_vault.retire_root_key($1)', $first);
is(opened($middle), $users, 'after which everything opens');

done_testing();
