# A key by a token in one statement: the settings say what the token says only when somebody
# looks.  Who does, sees what was always to be seen; and nothing is left for the next transaction.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

my $node = new_vault('late_settings', conf => <<'END');
max_worker_processes = 16
max_parallel_workers = 16
END
add_role($node, 'regress_kv_user', 'user');
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	CREATE TABLE documents (user_id text, n int);
	INSERT INTO documents SELECT 'user_' || chr(97 + n % 4), n FROM generate_series(1, 20000) n;
	ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON documents USING (user_id = key_vault.current_user_id());
	GRANT SELECT ON documents TO PUBLIC;
	CREATE PROCEDURE in_procedure(t text, INOUT before text, INOUT after text) LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
		FOR r IN SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate(t) LOOP
			before := current_setting('key_vault.user_id');
		END LOOP;
		COMMIT; after := current_setting('key_vault.user_id'); END $$;
	ANALYZE documents});

my $issuer = new_issuer(algorithm => 'RS256');
$issuer->trusted_by($node, team_claim => q{'team'});
my ($token_a, $token_b) = map { $issuer->token(sub => $_, team => 'acme') } qw(user_a user_b);
my $session = session($node, 'regress_kv_user');
$session->run('SELECT key_vault.current_user_id()');	# which loads the library

my @a = (q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)}, $token_a);
my @b = ($a[0], $token_b);
my $settings = q{SELECT btrim(concat_ws(' ', current_setting('key_vault.user_id'), current_setting('key_vault.team_id'),
	current_setting('key_vault.identity_until') <> ''))};

# of a pipeline: its rows, or its error
sub pipeline_is
{
	my ($expected, $name, $in, @statements) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $in->pipeline(map { ref ? $_ : [$_] } @statements);
	is($result->{error} ? $result->{error}{state} : join(', ', map { $_->[0] // 'NULL' } @{ $result->{rows} }), $expected, $name);
	outcome_is($in, 'f', "$name: nothing is left", $settings);
	outcome_is($in, 'NULL', "$name: nobody is left", 'SELECT key_vault.current_user_id()');
	return;
}

# --- The next statement of the transaction

pipeline_is('AIza-of-user_a', 'alone', $session, \@a);
pipeline_is('AIza-of-user_a, user_a acme t', 'settings', $session, \@a, $settings);
pipeline_is('AIza-of-user_a, user_a', 'SHOW', $session, \@a, 'SHOW key_vault.user_id');
pipeline_is('AIza-of-user_a, user_a', 'who', $session, \@a, 'SELECT key_vault.current_user_id()');
pipeline_is('AIza-of-user_a, AIza-of-user_a, user_a acme t', 'twice', $session, \@a, \@a, $settings);
pipeline_is('42501', 'another user', $session, \@a, \@b);
pipeline_is('AIza-of-user_a, f, user_a', 'RESET ALL', $session, \@a, 'RESET ALL', $settings, 'SELECT key_vault.current_user_id()');
pipeline_is('42501', 'SET', $session, \@a, q{SET LOCAL key_vault.user_id = 'user_b'});
pipeline_is('28000', 'a token that is none', $session, \@a, [ $a[0], 'x.y.z' ]);
pipeline_is('22012', 'an error behind it', $session, \@a, 'SELECT 1 / 0');
pipeline_is('AIza-of-user_b', 'the next user', $session, \@b);

my $service = session($node, 'regress_kv_service');
$service->run('SELECT key_vault.current_user_id()');
pipeline_is('AIza-of-user_a, user_x acme t, user_a', 'SET by who may', $service, \@a, q{SET LOCAL key_vault.user_id = 'user_x'}, $settings,
	'SELECT key_vault.current_user_id()');

# --- Blocks, of the client and of functions

$session->run('BEGIN');
outcome_is($session, 'AIza-of-user_a', 'in a transaction', @a);
$session->run('SAVEPOINT s', 'ROLLBACK TO s');
outcome_is($session, 'user_a acme t', '... a savepoint that is rolled back', $settings);
$session->run('SAVEPOINT s', 'RESET ALL');
outcome_is($session, 'f', '... RESET ALL in one', $settings);
$session->run('ROLLBACK TO s');
outcome_is($session, 'user_a acme t', '... that is rolled back', $settings);
$session->run('COMMIT');
outcome_is($session, 'f', '... and afterwards', $settings);
is_deeply($session->simple("SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate('$token_a'); $settings")->{rows},
	[ ['AIza-of-user_a'], ['user_a acme t'] ], 'two statements in one message');
is_deeply($session->query('CALL in_procedure($1, NULL, NULL)', $token_a)->{rows}, [ [ 'user_a', '' ] ], 'a procedure that commits');

# --- Who looks without a statement: calls of functions by the protocol, and expressions of PL/pgSQL

$node->safe_psql('postgres', q{
	CREATE FUNCTION in_part(fails boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
		BEGIN
			PERFORM 1 FROM pg_class LIMIT 1;
			IF fails THEN RAISE 'x'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
		RETURN current_setting('key_vault.user_id'); END $$;
	CREATE FUNCTION in_two_parts() RETURNS text LANGUAGE plpgsql AS $$ DECLARE x text; BEGIN
		x := in_part(false);
		x := set_config('key_vault.user_id', 'user_x', true);
		RETURN in_part(true); END $$;
	CREATE FUNCTION in_loop(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r record; x text; BEGIN
		FOR r IN SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate(t) LOOP
			x := set_config('key_vault.user_id', 'user_x', true);
		END LOOP;
		RETURN current_setting('key_vault.user_id'); END $$});
my %oid = map { ($_ => $node->safe_psql('postgres', "SELECT '$_'::regprocedure::oid")) }
	'current_setting(text)', 'set_config(text, text, boolean)', 'in_part(boolean)', 'in_two_parts()';

sub call_is
{
	my ($expected, $name, $in, $statements, $function, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $in->call_behind($statements, $oid{$function}, @arguments);
	is($result->{error} ? $result->{error}{message} : $result->{rows}[-1][0], $expected, $name);
	return;
}

call_is('user_a', 'a call: user_id', $session, [ \@a ], 'current_setting(text)', 'key_vault.user_id');
call_is('acme', 'a call: team_id', $session, [ \@a ], 'current_setting(text)', 'key_vault.team_id');
call_is('', 'a call: the transaction behind it', $session, [], 'current_setting(text)', 'key_vault.user_id');
call_is('user_a', 'caught up with in a part', $session, [ \@a ], 'in_part(boolean)', 'false');
call_is('user_a', 'caught up with in a part that is rolled back', $session, [ \@a ], 'in_part(boolean)', 'true');
call_is('user_x', 'set behind a part, before one that is rolled back', $service, [ \@a ], 'in_two_parts()');
outcome_is($service, 'user_x', 'set in a loop over the statement', 'SELECT in_loop($1)', $token_a);
$service->run('BEGIN');
outcome_is($service, 'AIza-of-user_a', 'in a block', @a);
call_is('user_x', 'in a block: set by a call', $service, [], 'set_config(text, text, boolean)', 'key_vault.user_id', 'user_x', 'true');
call_is('user_x', 'in a block: and seen', $service, [], 'current_setting(text)', 'key_vault.user_id');
$service->run('COMMIT');

# --- Parallel workers

$session->run('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
	'SET max_parallel_workers_per_gather = 2', 'SET parallel_leader_participation = off');
my $documents = q{SELECT count(*) FROM documents WHERE user_id >= 'user'};
like(join(' ', map { $_->[0] } @{ $session->pipeline(\@a, ["EXPLAIN (ANALYZE, COSTS off, TIMING off) $documents"])->{rows} }),
	qr/Workers Launched: [12]/, 'there are workers');
pipeline_is('AIza-of-user_a, 5000', 'workers see the user\'s rows', $session, \@a, $documents);
pipeline_is('AIza-of-user_a, 0', 'workers see none after RESET ALL', $session, \@a, 'RESET ALL', 'SET parallel_setup_cost = 0',
	'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = off', $documents);

# --- Who looks within the statement: a policy

sub with_policy
{
	my ($expected, $name, $function) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql('postgres', qq{
		CREATE FUNCTION looks(u text) RETURNS boolean LANGUAGE plpgsql AS \$\$ $function \$\$;
		CREATE POLICY looks ON key_vault_data.secrets AS RESTRICTIVE USING (public.looks(user_id));});
	pipeline_is($expected, $name, $session, \@a, $settings);
	$node->safe_psql('postgres', 'DROP POLICY looks ON key_vault_data.secrets; DROP FUNCTION looks');
	return;
}

my $is_told = q{current_setting('key_vault.user_id') = 'user_a' AND current_setting('key_vault.team_id') = 'acme'};
with_policy('AIza-of-user_a, user_a acme t', 'a policy', "BEGIN RETURN $is_told; END");
with_policy('AIza-of-user_a, user_a acme t', 'a policy that runs a statement',
	"DECLARE told boolean; BEGIN SELECT $is_told FROM pg_class LIMIT 1 INTO told; RETURN told; END");
with_policy('AIza-of-user_a, user_a acme t', '... in what is rolled back',
	"BEGIN BEGIN PERFORM 1 FROM pg_class LIMIT 1; RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END; RETURN $is_told; END");
with_policy('AIza-of-user_a, user_a acme t', '... in what is not',
	"BEGIN BEGIN PERFORM 1 FROM pg_class LIMIT 1; EXCEPTION WHEN raise_exception THEN NULL; END; RETURN $is_told; END");

done_testing();
