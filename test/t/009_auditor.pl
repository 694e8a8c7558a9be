# Who audits reads of the table sees those of get(): pgaudit hooks into the executor's
# check of privileges, and the straight way goes through the same check.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
plan skip_all => 'pgaudit is not installed' unless -e "$libraries/pgaudit.so";

my $node = new_vault('audited', conf => <<'END');
shared_preload_libraries = 'pgaudit'
pgaudit.role = 'regress_kv_auditor'
pgaudit.log_relation = on
log_statement = none
END
$node->safe_psql('postgres', 'CREATE ROLE regress_kv_auditor; GRANT SELECT ON key_vault_data.secrets TO regress_kv_auditor');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
my $super = session($node);
my $tenant = session($node, 'regress_kv_tenant');
my $key = 'AIza-of-user_a-in-the-audit';
$tenant->value(q{SELECT key_vault.set(NULL, 'gemini', $1)}, $key);

# The audit's lines about the table that a call brings
sub audited
{
	my ($session, $sql) = @_;
	my $before = -s $node->logfile;
	my $result = $session->query($sql);
	my @lines = grep { /AUDIT: OBJECT.*key_vault_data\.secrets/ } split /\n/, slurp_file($node->logfile, $before);
	return ($result->{error} ? $result->{error}{state} : $result->{rows}[0][0], scalar @lines);
}

my $get = q{SELECT key_vault.get(NULL, 'gemini')};
my ($plain) = (audited($tenant, 'SELECT count(*) FROM key_vault.secrets'))[1];
cmp_ok($plain, '>', 0, 'a plain SELECT is audited');
for my $call ('first', 'second', 'third')
{
	my ($value, $lines) = audited($tenant, $get);
	is($value, $key, "the $call get");
	cmp_ok($lines, '>', 0, "the $call get is audited");
}
my (undef, $lines) = audited($tenant, q{SELECT count(key_vault.get(NULL, 'gemini')) FROM generate_series(1, 3)});
cmp_ok($lines, '>=', 1, 'get for several rows is audited');
for my $call ('require(NULL, \'gemini\')', 'get_all(NULL)', 'list(NULL)', 'source(NULL, \'gemini\')')
{
	my (undef, $lines) = audited($tenant, "SELECT key_vault.$call");
	cmp_ok($lines, '>', 0, "key_vault.$call is audited");
}
SKIP:
{
	skip 'auto_explain is not installed', 2 unless -e "$libraries/auto_explain.so";
	my $explained = session($node);
	$explained->run(q{LOAD 'auto_explain'}, 'SET auto_explain.log_min_duration = 0', 'SET auto_explain.log_verbose = on',
		'SET auto_explain.log_nested_statements = on');
	my ($value, $lines) = audited($explained, q{SELECT key_vault.get('user_a', 'gemini')});
	is($value, $key, 'where auto_explain looks on as well: get');
	cmp_ok($lines, '>', 0, 'which is audited');
}
$super->run('CREATE POLICY extra ON key_vault_data.secrets AS RESTRICTIVE USING (true)');
(undef, $lines) = audited($tenant, $get);
cmp_ok($lines, '>', 0, 'the planner\'s way is audited, too');
$super->run('DROP POLICY extra ON key_vault_data.secrets', 'REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_tenant');
is((audited($tenant, $get))[0], '42501', 'and who may not read is refused as before');

unlike(slurp_file($node->logfile), qr/$key/, 'the audit holds no key');

done_testing();
