# A rotation opens every secret; a core dump of its backend afterwards holds none of them.
# Nor does one of the backend that made an escrow copy hold a root key.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gcore = (grep { -x } map { "$_/gcore" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gcore, of gdb, is not installed' unless defined $gcore;

my $node = new_vault('rotation_memory', conf => "shared_buffers = 4MB\n");
my $folder = PostgreSQL::Test::Utils::tempdir;
my $writer = session($node);

# The canary is in no statement that the server sees, and in no memory that it shares
my $canary = 'canary-7c41d0e9';
my @sizes = (20, 50, 200, 5000, 60000);
for my $size (@sizes)
{
	$writer->value(q{SELECT key_vault.set('user_' || $1, 'serper', $2)}, $size, substr(("$canary-$size-" x ($size / 16)), 0, $size) . "-end");
}
$writer->close;

sub core_of
{
	my ($pid) = @_;
	note scalar `$gcore -o $folder/core $pid 2>&1`;
	return unless -s "$folder/core.$pid";
	my $core = slurp_file("$folder/core.$pid");
	unlink "$folder/core.$pid";
	return $core;
}

sub activate_new_root_key
{
	$node->safe_psql('postgres', q{SELECT key_vault.create_root_key() AS id \gset
		SELECT key_vault.activate_root_key(:'id')});
	return;
}

# What a backend does, and its core dump then
sub dump_after
{
	my ($sql, @parameters) = @_;
	my $session = session($node);
	$session->run(q{SET application_name = 'marker 3b90c2'});
	my $result = $session->query($sql, @parameters);
	is($result->{error}, undef, "$sql runs");
	my $core = core_of($session->pid);
	$session->close;
	ok(index($core, 'marker 3b90c2') >= 0, 'the core dump is of that backend') if defined $core;
	return $core;
}

SKIP:
{
	activate_new_root_key();
	my $core = dump_after('CALL key_vault.rotate_root_key()');
	skip 'the system does not let gcore look at a process', 1 unless defined $core;
	is($node->safe_psql('postgres', q{SELECT count(*) FROM key_vault.root_keys WHERE secrets > 0}), 1, 'all is re-sealed');
	ok(index($core, $canary) < 0, 'no secret is left in the memory of a rotation');

	# one that ends in an error, after some secrets were opened
	activate_new_root_key();
	$node->safe_psql('postgres', q{
		UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 60, 255 - get_byte(sealed, 60)) WHERE user_id = 'user_50';
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''22000''; END';
		CREATE TRIGGER refuse AFTER UPDATE ON key_vault_data.secrets FOR EACH STATEMENT EXECUTE FUNCTION refuse()});
	my $session = session($node);
	is($session->query('CALL key_vault.rotate_root_key()')->{error}{state}, '22000', 'a rotation fails');
	$core = core_of($session->pid);
	$session->close;
	ok(index($core, $canary) < 0, 'then there is none either');

	my @keys = slurp_file(keyring_path($node)) =~ /^[0-9a-f]{16} (\S{44}) /mg;
	$node->safe_psql('postgres', 'CREATE EXTENSION pgcrypto');
	my ($public_key) = slurp_file("$FindBin::RealBin/../../sql/escrow.sql") =~ /\('rsa', \$\$(.*?)\$\$\)/s;
	$core = dump_after('SELECT key_vault.escrow_keyring($1)', $public_key);
	for my $key (@keys)
	{
		my $bytes = decode_base64($key);
		my @found = ((grep { index($core, substr($key, $_ * 4, 12)) >= 0 } 0 .. 7),
			(grep { index($core, substr($bytes, $_ * 8, 8)) >= 0 } 0 .. 3));
		is_deeply(\@found, [], 'no part of a root key is left in the memory of an escrow copy');
	}
}

done_testing();
