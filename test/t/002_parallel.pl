# Parallel plans: a worker has the identity of its leader, row-level security holds in
# it, and get() gives the same key whatever the plan.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;

my $node = new_vault('parallel', conf => <<'END');
max_worker_processes = 16
max_parallel_workers = 16
END
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_bare', 'user');
$node->safe_psql('postgres', q{
	GRANT regress_kv_bare TO regress_kv_service;
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	SELECT key_vault.set('user_' || n % 10, 'exa', 'key', 'label ' || n) FROM generate_series(1, 500) n;

	CREATE TABLE documents (user_id text, n int);
	INSERT INTO documents SELECT 'user_' || chr(97 + n % 4), n FROM generate_series(1, 20000) n;
	ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON documents USING (user_id = key_vault.current_user_id());
	CREATE TABLE numbers AS SELECT n FROM generate_series(1, 20000) n;
	GRANT SELECT ON documents, numbers TO PUBLIC;
	ANALYZE;

	-- tells a lie: get() is not parallel safe
	CREATE FUNCTION get_in_worker(u text) RETURNS text LANGUAGE plpgsql PARALLEL SAFE COST 10000
		AS $$ BEGIN RETURN key_vault.get(u, 'gemini') || CASE WHEN pg_backend_pid() = current_setting('kv.leader')::int
			THEN '' ELSE ' in a worker' END; END $$;
	CREATE FUNCTION set_in_worker() RETURNS int LANGUAGE plpgsql PARALLEL SAFE COST 10000
		AS $$ BEGIN RETURN key_vault.set(NULL, 'gemini', 'AIza-new'); END $$});

my $forced = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
my @parallel = (
	'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
	'SET min_parallel_table_scan_size = 0', 'SET min_parallel_index_scan_size = 0',
	'SET max_parallel_workers_per_gather = 2', 'SET parallel_leader_participation = off');

sub parallel_session
{
	my ($role, @more) = @_;
	my $session = session($node, $role);
	$session->run(@parallel, q{SELECT set_config('kv.leader', pg_backend_pid()::text, false)}, @more);
	return $session;
}

# How many workers a query had.
sub workers
{
	my ($session, $sql) = @_;
	my $result = $session->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $sql");
	die $result->{error}{message} if $result->{error};
	my $count = 0;
	$count += /Workers Launched: (\d+)/ ? $1 : 0 for map { $_->[0] } @{ $result->{rows} };
	return $count;
}

sub in_parallel
{
	my ($session, $expected, $name, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	cmp_ok(workers($session, $sql), '>', 0, "$name: there are workers");
	outcome_is($session, $expected, $name, $sql);
	return;
}

my %sessions = (
	'the identity of ALTER ROLE' => parallel_session('regress_kv_tenant'),
	'the identity that a service role set' => parallel_session('regress_kv_service', q{SET key_vault.user_id = 'user_a'}),
	'the identity that a service role set before it became another' =>
	  parallel_session('regress_kv_service', q{SET key_vault.user_id = 'user_a'}, 'SET ROLE regress_kv_bare'));

for my $name (sort keys %sessions)
{
	my $session = $sessions{$name};

	in_parallel($session, 'user_a', "$name in the workers",
		q{SELECT string_agg(DISTINCT key_vault.current_user_id() || CASE WHEN n < 0 THEN 'x' ELSE '' END, ',') FROM numbers});
	in_parallel($session, '5000', "$name, a table's policy",
		q{SELECT count(*) FROM documents WHERE user_id >= 'user_a'});
	in_parallel($session, '0', "$name, rows of others",
		q{SELECT count(*) FROM documents WHERE user_id <> 'user_a'});
	in_parallel($session, 'AIza-of-user_a', "$name, get() above a parallel plan",
		q{SELECT key_vault.get(NULL, 'gemini') || left(count(*)::text, 0) FROM numbers});
	in_parallel($session, '20000', "$name, get() for every row of a parallel scan",
		q{SELECT count(*) FROM (SELECT n FROM numbers WHERE n % 1 = 0 OFFSET 0) AS scanned
			WHERE key_vault.get(NULL, 'gemini') = 'AIza-of-user_a'});
	in_parallel($session, 'AIza-of-user_a in a worker', "$name, get() in a worker against its declaration",
		q{SELECT max(get_in_worker(NULL)) FROM numbers WHERE n % 100 = 0});

	$session->run("SET $forced = on");
	in_parallel($session, 'user_a', "$name, $forced", 'SELECT key_vault.current_user_id()');
	outcome_is($session, 'AIza-of-user_a', "$name, $forced: get()", q{SELECT key_vault.get('user_a', 'gemini')});
	outcome_is($session, 'AIza-of-user_a', "$name, $forced: require()", q{SELECT key_vault.require(NULL, 'gemini')});
	outcome_is($session, '42501', "$name, $forced: get() of another's", q{SELECT key_vault.get('user_b', 'gemini')});
	in_parallel($session, '1', "$name, $forced: rows of secrets", 'SELECT count(*) FROM key_vault.secrets');
	outcome_is($session, 'gemini', "$name, $forced: list()", q{SELECT string_agg(provider, ',') FROM key_vault.list(NULL)});
	outcome_is($session, '{"gemini": "AIza-of-user_a"}', "$name, $forced: get_all()", 'SELECT key_vault.get_all(NULL)');
	outcome_is($session, '25000', "$name: set() in a worker against its declaration",
		q{SELECT max(set_in_worker()) FROM numbers WHERE n % 100 = 0});
	$session->run("RESET $forced");
	outcome_is($session, 'AIza-of-user_a', "$name: and nothing was set", q{SELECT key_vault.get(NULL, 'gemini')});
}

# A call that names its user acts for that user, and no parallel plan loses it.
my $service = parallel_session('regress_kv_service');
for my $mode ('off', 'on')
{
	$service->run("SET $forced = $mode");
	outcome_is($service, '50', "a call that names its user, $forced = $mode: list()",
		q{SELECT count(*) FROM key_vault.list('user_3')});
	outcome_is($service, 'AIza-of-user_b', "a call that names its user, $forced = $mode: get()",
		q{SELECT key_vault.get('user_b', 'gemini')});
	outcome_is($service, 'user', "a call that names its user, $forced = $mode: source()",
		q{SELECT key_vault.source('user_b', 'gemini')});
	outcome_is($service, '1', "a call that names its user, $forced = $mode: versions()",
		q{SELECT count(*) FROM key_vault.versions('user_b', 'gemini')});
}
$service->run("SET $forced = off");
in_parallel($service, 'AIza-of-user_b in a worker', 'a call that names its user, in a worker',
	q{SELECT max(get_in_worker('user_b')) FROM numbers WHERE n % 100 = 0});
in_parallel($service, '0', 'outside of a call there is no identity in the workers',
	'SELECT count(key_vault.current_user_id()) FROM numbers');
in_parallel($service, '0', 'and no rows', 'SELECT count(*) FROM documents');

# The planner's way is not parallel either: the policy would ask a worker.
$node->safe_psql('postgres', 'CREATE POLICY stricter ON key_vault_data.secrets AS RESTRICTIVE USING (true)');
$service->run("SET $forced = on");
outcome_is($service, 'AIza-of-user_b', 'the planner\'s way, a call that names its user',
	q{SELECT key_vault.get('user_b', 'gemini')});
outcome_is($sessions{'the identity of ALTER ROLE'}, 'AIza-of-user_a', 'the planner\'s way, the identity',
	q{SELECT key_vault.get(NULL, 'gemini')});

done_testing();
