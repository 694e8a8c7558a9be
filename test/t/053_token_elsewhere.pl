# Where a token's identity has to be, beside the session that has it: in parallel workers, on a
# hot standby, after a dump and restore.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_vault('elsewhere', init => [ allows_streaming => 1 ], conf => <<'END');
max_worker_processes = 16
max_parallel_workers = 16
END
add_role($node, 'regress_kv_user', 'user');
$node->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	CREATE TABLE documents (user_id text, n int);
	INSERT INTO documents SELECT 'user_' || chr(97 + n % 4), n FROM generate_series(1, 20000) n;
	ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON documents USING (user_id = key_vault.current_user_id());
	CREATE TABLE of_teams AS SELECT CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'globex' END AS team_id, n FROM generate_series(1, 20000) n;
	ALTER TABLE of_teams ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON of_teams USING (team_id = key_vault.current_team_id());
	GRANT SELECT ON documents, of_teams TO PUBLIC;
	ANALYZE});

my $iss = 'https://issuer.example';
my $issuer = new_issuer(issuer => $iss);
$issuer->trusted_by($node, clock_skew => q{'0'}, team_claim => q{'team'});
my $authenticate = 'SELECT key_vault.authenticate($1)';

# --- Parallel workers

my $forced = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
my $session = session($node, 'regress_kv_user');
$session->run('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
	'SET max_parallel_workers_per_gather = 2', 'SET parallel_leader_participation = off');

sub workers
{
	my ($sql) = @_;
	my $result = $session->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $sql");
	my $count = 0;
	$count += /Workers Launched: (\d+)/ ? $1 : 0 for map { $_->[0] } @{ $result->{rows} // [] };
	return $count;
}

my $documents = q{SELECT count(*) FROM documents WHERE user_id >= 'user'};
my $of_teams = q{SELECT count(*) FROM of_teams WHERE team_id >= 'a'};
$session->run('BEGIN');
outcome_is($session, 'user_a', 'a token', $authenticate, $issuer->token(team => 'acme', exp => time + 5));
cmp_ok(workers($documents), '>', 0, 'there are workers');
outcome_is($session, '5000', 'workers see the user\'s rows', $documents);
outcome_is($session, '10000', '... and the team\'s', $of_teams);
outcome_is($session, '0', '... and no others', q{SELECT count(*) FROM documents WHERE user_id <> 'user_a'});
$session->run("SET LOCAL $forced = on");
outcome_is($session, 'user_a', "$forced", 'SELECT key_vault.current_user_id()');
outcome_is($session, 'AIza-of-user_a', "$forced: get", q{SELECT key_vault.get(NULL, 'gemini')});
$session->run("SET LOCAL $forced = off");
sleep 5.2;
$session->run('SAVEPOINT s');
outcome_is($session, '28000', 'expired, in workers', $documents);
$session->run('ROLLBACK TO s', "SET LOCAL $forced = on");
outcome_is($session, '28000', "expired, $forced", 'SELECT key_vault.current_user_id()');
$session->run('ROLLBACK TO s');
outcome_is($session, '28000', 'expired, in workers, by the team', $of_teams);
$session->run('ROLLBACK', 'BEGIN');
outcome_is($session, 'user_a', 'a token', $authenticate, $issuer->token);
$session->run('RESET ALL', 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = off');
cmp_ok(workers($documents), '>', 0, 'after RESET ALL there are workers');
outcome_is($session, '0', '... which see no rows', $documents);
outcome_is($session, 'user_a', '... calls go on for the user', 'SELECT key_vault.current_user_id()');
$session->run('ROLLBACK');

# --- A hot standby

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $there = session($standby, 'regress_kv_user');
my $token = $issuer->token;
outcome_is($there, 'AIza-of-user_a', 'a standby verifies', q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)}, $token);
outcome_is($there, '28000', '... and refuses', $authenticate, $issuer->token(aud => 'elsewhere'));
outcome_is($there, '25006', '... and revokes nothing', 'SELECT key_vault.revoke_tokens(NULL) FROM key_vault.authenticate($1)', $token);
$there->run('BEGIN');
outcome_is($there, 'user_a', 'a transaction on the standby', $authenticate, $token);
sleep 1.1;
$node->safe_psql('postgres', q{SELECT key_vault.revoke_tokens('user_a')});
$node->wait_for_catchup($standby);
outcome_is($there, '28000', '... knows of a revocation on the primary', q{SELECT key_vault.get(NULL, 'gemini')});
$there->run('ROLLBACK');
sleep 1.1;
$token = $issuer->token;
outcome_is($there, 'user_a', 'a newer token', $authenticate, $token);
$node->safe_psql('postgres', "SELECT key_vault.distrust_issuer('$iss')");
$node->wait_for_catchup($standby);
outcome_is($there, '28000', '... of an issuer that the primary does not trust any more', $authenticate, $token);
$issuer->trusted_by($node, clock_skew => q{'0'});
$standby->stop;

# --- Dump and restore

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a dump');
unlike(slurp_file($dump), qr/\Q$issuer->{jwk}{k}\E/, '... without the issuer\'s secret');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'a restore');
my $restored = session($node, 'regress_kv_user', dbname => 'restored');
sleep 1.1;
outcome_is($restored, 'AIza-of-user_a', 'the issuer is trusted there', q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)}, $issuer->token);
my $before = $issuer->token(iat => time - 60);
outcome_is($restored, '28000', '... and what was revoked is', $authenticate, $before);
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION key_vault');

# In another vault the row does not open
open my $ring, '>>', keyring_path($node) or die;
close $ring;
$node->safe_psql('other', 'SELECT key_vault.create_root_key()');
my ($kind, $name, $id, $sealed) = split /\|/, $node->safe_psql('postgres', q{SELECT kind, name, root_key_id, sealed FROM key_vault_data.sealed_records WHERE kind = 'issuer'});
$node->safe_psql('other', "INSERT INTO key_vault_data.sealed_records VALUES ('$kind', '$name', '$id', '$sealed')");
$node->safe_psql('other', q{SELECT key_vault.grant_access('regress_kv_user', 'user')});
my $other = session($node, 'regress_kv_user', dbname => 'other');
outcome_is($other, 'XX001', 'an issuer\'s row in another vault', $authenticate, $issuer->token);

done_testing();
