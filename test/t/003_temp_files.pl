# A key in a temporary file: none is when get is in the select list.  Where the statement has
# PostgreSQL collect or sort what get returns, a key that is larger than work_mem is in one, and
# docs/security.md says so.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('temp_files');
my $canary = 'canary-in-a-temporary-file-';
$node->safe_psql('postgres', "SELECT key_vault.set('user_a', 'gemini', rpad('', 65536, '$canary')), key_vault.set('user_a', 'exa', rpad('', 32768, '$canary'))");
my $session = session($node);
my $get = q{key_vault.get('user_a', 'gemini')};
$session->run(q{SET work_mem = '64kB'}, "PREPARE p AS SELECT $get");

# It is the key that is in such a file
$session->run('BEGIN', "DECLARE c CURSOR FOR SELECT * FROM $get", 'MOVE c');
my @files = grep { slurp_file($_) =~ /\Q$canary$canary\E/ } glob($node->data_dir . '/base/pgsql_tmp/*');
cmp_ok(scalar @files, '>', 0, 'the key is in the file, as long as the statement runs');
$session->run('COMMIT');
is_deeply([ glob($node->data_dir . '/base/pgsql_tmp/*') ], [], '... which is gone afterwards');

# From here on PostgreSQL refuses such a file with 53400
$session->run('SET temp_file_limit = 0');
sub spills_is
{
	my ($spills, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $outcome = $session->outcome($sql);
	return $spills ? is($outcome, '53400', "$sql spills, as the docs say") : like($outcome, qr/\Q$canary$canary\E/, "$sql stays in memory");
}

# What the docs ask for, at the largest key and the smallest work_mem that there are
spills_is(0, "SELECT $get");
spills_is(0, q{SELECT key_vault.require('user_a', 'gemini')});
spills_is(0, q{SELECT key_vault.get_all('user_a')});
spills_is(0, q{SELECT api_key FROM key_vault.lookup('user_a', 'gemini')});
spills_is(0, "SELECT k FROM (SELECT $get AS k OFFSET 0) AS t");
spills_is(0, "SELECT $get FROM (SELECT 1 OFFSET 0) AS t");

# What they warn of; a key of half the size stays in memory there, too
spills_is(1, "SELECT * FROM $get");
spills_is(1, q{SELECT * FROM key_vault.get_all('user_a')});
spills_is(1, 'EXECUTE p');
spills_is(1, "SELECT k FROM (SELECT $get AS k, n FROM generate_series(1, 3) AS n OFFSET 0) AS t ORDER BY n DESC");
spills_is(0, q{SELECT * FROM key_vault.get('user_a', 'exa')});

done_testing();
