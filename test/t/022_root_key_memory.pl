# A core dump of a backend that worked with root keys holds no part of one: not as
# bytes, not as the text of the keyring; nor of a key that was derived from one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gcore = (grep { -x } map { "$_/gcore" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gcore, of gdb, is not installed' unless defined $gcore;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('root_key_memory');
init_cluster($node);
$node->append_conf('postgresql.conf', <<"END");
key_vault.keyring_file = '$folder/keyring'
key_vault.keyring_command = ''
shared_buffers = 4MB
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

sub aes_256_ecb
{
	my ($key, $block) = @_;
	open my $handle, '>:raw', "$folder/block" or die $!;
	print $handle $block;
	close $handle;
	system('openssl', 'enc', '-aes-256-ecb', '-nopad', '-K', unpack('H*', $key), '-in', "$folder/block", '-out', "$folder/encrypted") == 0 or die 'openssl failed';
	return slurp_file("$folder/encrypted");
}

# The keys that the secrets of the database were sealed with, each derived from its
# root key and its nonce as XAES-256-GCM says.
sub derived_keys
{
	my %root_key = slurp_file("$folder/keyring") =~ /^([0-9a-f]{16}) (\S{44}) /mg;
	my @derived;
	for my $row (split /\n/, $node->safe_psql('postgres',
		q{SELECT root_key_id, encode(substring(sealed FROM 10 FOR 12), 'hex') FROM key_vault.secrets}))
	{
		my ($id, $nonce) = split /\|/, $row;
		my $key = decode_base64($root_key{$id});
		my @k1 = unpack 'C*', aes_256_ecb($key, "\0" x 16);
		my $overflow = $k1[0] >> 7;
		@k1 = ((map { ($k1[$_] << 1 | $k1[ $_ + 1 ] >> 7) & 255 } 0 .. 14), ($k1[15] << 1 & 255) ^ ($overflow ? 0x87 : 0));
		push @derived, map { aes_256_ecb($key, pack('C4', 0, $_, ord 'X', 0) . pack('H*', $nonce) ^ pack('C*', @k1)) } 1, 2;
	}
	return @derived;
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
	my @derived = derived_keys();
	is(index($core, $_), -1, "$name: half of a derived key is not in it") for @derived;
	return 1;
}

$node->safe_psql('postgres', 'CREATE EXTENSION key_vault');
my $use = q{
	SELECT key_vault.set('user_a', 'gemini', 'AIza' || repeat('x', 35));
	SELECT count(key_vault.get('user_a', 'gemini')) FROM generate_series(1, 100)};

# In the midst of a statement that opens many: the key of the last one is there, for so
# is what it opens; and at its end, which is an error here, it is not.
sub check_statement
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()') =~ s{\R\z}{}r;
	$session->query_until(qr/begun/, q{\echo begun
		SELECT key_vault.get('user_a', 'gemini'), pg_sleep(CASE n WHEN 3 THEN 600 ELSE 0 END) FROM generate_series(1, 3) n;
	});
	$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid");
	my $during = core_of($pid);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	$node->poll_query_until('postgres', "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid");
	my $after = core_of($pid);
	$session->quit;

	is_deeply(parts_in($during, $_), [], 'in a statement: no part of a root key') for keys_in_keyring();
	ok((grep { index($during, $_) >= 0 } derived_keys()), 'in a statement: a derived key');
	is(index($after, $_), -1, 'after an error: no derived key') for derived_keys();
	return;
}

SKIP:
{
	check_session('made and used', 'SELECT key_vault.create_root_key()', $use)
	  or skip 'the system does not let gcore look at a process', 1;
	check_session('used', $use);
	check_statement();

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
