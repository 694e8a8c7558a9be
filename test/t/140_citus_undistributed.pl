# In a database that has Citus, and whose tables are not distributed, everything is as
# without: the regression and isolation tests again.  A few of them; all with KV_LONG.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my $top = "$FindBin::RealBin/../..";
my $short = !$ENV{KV_LONG};
my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($programs) = run_command([ 'pg_config', '--bindir' ]);

# What says whether the library is preloaded: expected is what it says when it is not.
my %tells_of_preload = map { $_ => 1 } qw(inspect_key literal_key never_stored odd_keys status);

sub names_in
{
	my ($pattern) = @_;
	return sort map { m{([^/]+)\.\w+$} } glob "$top/$pattern";
}

# How many of the tests passed: all, or what failed is shown.
sub runs_as_without
{
	my ($node, $name, $program, $folder, $dbname, @tests) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $out = PostgreSQL::Test::Utils::tempdir;
	my $said = '';
	my $ok = IPC::Run::run([ "$libraries/pgxs/src/test/$program", "--bindir=$programs", "--inputdir=$folder", "--outputdir=$out",
		"--dbname=$dbname", '--load-extension=citus', '--host=' . $node->host, '--port=' . $node->port, '--user=postgres', @tests ],
		'>&', \$said);
	ok($ok, "$name: " . scalar(@tests) . ' tests') or diag($said, -e "$out/regression.diffs" ? slurp_file("$out/regression.diffs") : '');
	return;
}

my @regress = $short ? qw(set_get get_all list secrets_view) : names_in('sql/*.sql');
my @isolation = $short ? qw(delete_set) : names_in('test/isolation/specs/*.spec');

for my $preload ('citus', 'citus, key_vault')
{
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my $node = bare_server('undistributed_' . ($preload =~ tr/,//), conf => <<"END");
shared_preload_libraries = '$preload'
key_vault.keyring_file = '$folder/%d.keyring'
log_statement = none
END
	$node->safe_psql('postgres', 'CREATE ROLE postgres SUPERUSER LOGIN') unless $node->safe_psql('postgres', q{SELECT 1 FROM pg_roles WHERE rolname = 'postgres'});
	runs_as_without($node, "$preload: regress", 'regress/pg_regress', $top, 'contrib_regression', grep { $preload eq 'citus' || !$tells_of_preload{$_} } @regress);
	runs_as_without($node, "$preload: isolation", 'isolation/pg_isolation_regress', "$top/test/isolation", 'regress_kv_isolation', @isolation);
	$node->stop;
}

done_testing();
