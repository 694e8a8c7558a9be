# A core dump of a backend that worked with root keys holds no part of one: not as
# bytes, not as the text of the keyring.
use strict;
use warnings;

use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gcore = (grep { -x } map { "$_/gcore" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gcore, of gdb, is not installed' unless defined $gcore;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('root_key_memory');
$node->init;
$node->append_conf('postgresql.conf', <<"END");
key_vault.keyring_file = '$folder/keyring'
key_vault.keyring_command = ''
END
$node->start;

# A core dump of a process, or undef when the system does not let us take one.
sub core_of
{
	my ($pid) = @_;
	my $output = `gcore -o $folder/core $pid 2>&1`;
	note $output;
	return unless -s "$folder/core.$pid";
	my $core = slurp_file("$folder/core.$pid");
	unlink "$folder/core.$pid";
	return $core;
}

# Where parts of a root key stand in a core dump.
sub parts_in
{
	my ($core, $base64) = @_;
	my $key = decode_base64($base64);
	my @found;
	for my $offset (map { $_ * 8 } 0 .. 3)
	{
		push @found, "bytes from $offset" if index($core, substr($key, $offset, 8)) >= 0;
	}
	for my $offset (map { $_ * 4 } 0 .. 7)
	{
		push @found, "base64 from $offset" if index($core, substr($base64, $offset, 12)) >= 0;
	}
	return \@found;
}

sub keys_in_keyring
{
	return slurp_file("$folder/keyring") =~ /^[0-9a-f]{16} (\S{44}) /mg;
}

sub check_session
{
	my ($name, @queries) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query("SET application_name = 'canary 5e1fbd'; SELECT pg_backend_pid()") =~ s{\R\z}{}r;
	$session->query($_) for @queries;

	my $core = core_of($pid);
	$session->quit;
	return 0 unless defined $core;

	ok(index($core, 'canary 5e1fbd') >= 0, "$name: the core dump is of that backend");
	my @keys = keys_in_keyring();
	ok(@keys > 0, "$name: there are root keys to look for");
	is_deeply(parts_in($core, $_), [], "$name: no part of a root key is in it") for @keys;
	return 1;
}

$node->safe_psql('postgres', 'CREATE EXTENSION key_vault');
my $use = q{
	SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('x', 35));
	SELECT count(key_vault.get('user_a', 'gemini')) FROM generate_series(1, 100)};

SKIP:
{
	check_session('made and used', 'SELECT key_vault.create_root_key()', $use)
	  or skip 'the system does not let gcore look at a process', 1;
	check_session('used', $use);

	$node->safe_psql('postgres', 'SELECT key_vault.create_root_key()');
	check_session('another one activated', $use,
		"SELECT key_vault.activate_root_key(id) FROM key_vault.root_keys WHERE state = 'standby'", $use);

	# The keyring becomes unreadable in its last line: everything was parsed by then
	my $good = slurp_file("$folder/keyring");
	append_to_file("$folder/keyring", "garbage\n");
	check_session('read in vain', $use);
	check_session('create in vain', 'SELECT key_vault.create_root_key()');

	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', "'cat $folder/keyring'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_command') <> ''");
	check_session('a command, in vain', $use);

	open my $handle, '>', "$folder/keyring" or die $!;
	print $handle $good;
	close $handle;
	check_session('a command', $use);
}

$node->stop;
done_testing();
