# The file key_vault.root_keys in the data directory: which root keys the databases use, for
# whoever starts a server and wants to know whether the keyring at hand is that of the data.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('ids_in_use');
init_cluster($node, allows_streaming => 1);
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/%d.keyring'\nkey_vault.keyring_command = ''\n");
$node->start;
my $file = $node->data_dir . '/key_vault.root_keys';

sub run_in
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, $sql);
}

# What the file says of a database: ids, sorted
sub ids_of
{
	my ($database, $path) = @_;
	my $oid = run_in('postgres', "SELECT oid FROM pg_database WHERE datname = '$database'");
	my @ids = slurp_file($path // $file) =~ /^$oid ([0-9a-f]{16})$/mg;
	return join ' ', sort @ids;
}

sub says
{
	my ($database, $name, @ids) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(ids_of($database), join(' ', sort @ids), $name);
	return;
}

my $create = 'SELECT key_vault.create_root_key()';
my $set = q{SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('x', 35))};

run_in('postgres', 'CREATE EXTENSION key_vault');
ok(!-e $file, 'without a root key there is no file');
my $first = run_in('postgres', $create);
says('postgres', 'create_root_key notes the id', $first);
is((stat $file)[2] & oct('0777'), oct('0600'), 'the file is the server\'s alone');
my ($key) = slurp_file("$folder/postgres.keyring") =~ /^$first (\S+)/m;
is(index(slurp_file($file), substr($key, 0, 8)), -1, 'and holds no key');

# --- Several databases

run_in('postgres', 'CREATE DATABASE other');
run_in('other', 'CREATE EXTENSION key_vault');
my $of_other = run_in('other', $create);
says('other', 'each database has its own', $of_other);
says('postgres', 'and leaves the other\'s', $first);

my $second = run_in('postgres', $create);
says('postgres', 'a root key in standby is noted as well', $first, $second);
run_in('postgres', "SELECT key_vault.activate_root_key('$second'); SELECT key_vault.retire_root_key('$first')");
says('postgres', 'a retired one is not', $second);

run_in('postgres', 'DROP DATABASE other');
run_in('postgres', "SELECT key_vault.activate_root_key('$second')");
unlike(slurp_file($file), qr/$of_other/, 'a dropped database goes with the next change');

# --- Rolled back

run_in('postgres', "BEGIN; $create; ROLLBACK");
isnt(ids_of('postgres'), $second, 'what was rolled back is noted');
my $third = run_in('postgres', $create);
says('postgres', 'until the next change', $second, $third);

run_in('postgres', "BEGIN; SELECT key_vault.retire_root_key('$third'); ROLLBACK");
says('postgres', 'a retirement that was rolled back took its id out', $second);
run_in('postgres', $set);
says('postgres', 'until a session sets a key', $second, $third);

# --- What another session is about to register stays

my $creator = $node->background_psql('postgres');
$creator->query_safe('BEGIN');
my $fourth = $creator->query_safe($create) =~ s/\s//gr;
unlink $file;
append_to_file($file, join '', map { run_in('postgres', "SELECT oid FROM pg_database WHERE datname = 'postgres'") . " $_\n" } $second, $fourth);
run_in('postgres', $set);
says('postgres', 'a set adds, and takes away nothing that may be registered now', $second, $third, $fourth);
$creator->query_safe('COMMIT');
$creator->quit;
says('postgres', 'then it is', $second, $third, $fourth);

# --- Where nothing was created: a restore, a lost file, a file that is none

unlink $file;
run_in('postgres', q{SELECT key_vault.get('user_a', 'gemini')});
ok(!-e $file, 'a get writes nothing');
run_in('postgres', $set);
says('postgres', 'a set does', $second, $third, $fourth);
append_to_file($file, "garbage\n" . ('x' x 300) . "\n4294967295 0123456789abcdef\n1 0123456789abcde\n");
run_in('postgres', $set);
is((() = slurp_file($file) =~ /^[^#]/mg) + 0, 3, 'what is no line of ours goes');
my $before = (stat $file)[1];
run_in('postgres', $set);
is((stat $file)[1], $before, 'a file that is right is left alone');

# --- A base backup has it, and a standby does not write

$node->backup('backup');
is(ids_of('postgres', $node->backup_dir . '/backup/key_vault.root_keys'), ids_of('postgres'), 'a base backup takes it along');

$node->stop;
done_testing();
