# Teams: who pays, many users on one connection, parallel workers, roles that have a team,
# development, and changes that other sessions make.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV)};

my $node = new_vault('teams', conf => <<'END');
max_worker_processes = 16
max_parallel_workers = 16
END
add_role($node, 'app', 'service');
add_role($node, 'dba', 'admin');
my $app = session($node, 'app');

my %own = (ada => 'AIza-of-ada');
$app->value(q(SELECT key_vault.set($1, 'gemini', $2)), @$_)
  for [ 'team:acme', 'AIza-of-acme' ], [ 'team:zeta', 'AIza-of-zeta' ], map { [ $_, $own{$_} ] } keys %own;

# A request of a user: which key it took, and that is recorded.
sub request
{
	my ($session, $user, $team, $cost) = @_;
	$session->run('BEGIN');
	$session->value(q(SELECT set_config('key_vault.user_id', $1, true), set_config('key_vault.team_id', $2, true)), $user, $team);
	my $key = $session->outcome(q(SELECT key_vault.get(NULL, 'gemini')));
	$session->value(q(SELECT key_vault.record_usage(NULL, 'gemini', cost => $1)), $cost) if defined $cost;
	$session->run('COMMIT');
	return $key;
}

sub costs
{
	my ($role, $what) = @_;
	return $node->safe_psql('postgres', "SELECT $what FROM key_vault.monthly_costs ORDER BY user_id COLLATE \"C\", paid_by, team_id COLLATE \"C\"",
		extra_params => [ '-U', $role ]);
}

# --- Who pays: a team of three, one of whom has a key of her own

is(request($app, @$_[0, 1], 0.05), $_->[2], "the key of $_->[0] in team '$_->[1]'")
  for ([ 'ada', 'acme', 'AIza-of-ada' ], [ 'bob', 'acme', 'AIza-of-acme' ], [ 'cem', 'acme', 'AIza-of-acme' ]) x 10, [ 'bob', 'zeta', 'AIza-of-zeta' ], [ 'bob', '', 'NULL' ];
is(costs('dba', 'user_id, paid_by, team_id, requests, cost'),
	join("\n", 'ada|user||10|0.50', 'bob|team|acme|10|0.50', 'bob|team|zeta|1|0.05', 'bob|user||1|0.05', 'cem|team|acme|10|0.50'),
	'each of two teams pays for its own, the member with a key for herself');
is($node->safe_psql('postgres', q(SELECT sum(cost) FROM key_vault.monthly_costs WHERE team_id = 'acme'), extra_params => [ '-U', 'dba' ]),
	'1.00', 'what a team pays');
$app->run('BEGIN', q(SELECT set_config('key_vault.user_id', 'bob', true), set_config('key_vault.team_id', 'acme', true)));
is($app->value(q(SELECT string_agg(DISTINCT user_id, ' ') FROM key_vault.monthly_costs)), 'bob', 'a member sees the own costs alone');
is($app->value(q(SELECT count(*) FROM key_vault.api_keys)), 0, '... and no key of the team');
$app->run('ROLLBACK');
is($app->value(q(SELECT key_vault.forget('team:acme'))), 1, 'a team is forgotten');
is($node->safe_psql('postgres', q(SELECT count(*) FROM key_vault.monthly_costs WHERE team_id = 'acme'), extra_params => [ '-U', 'dba' ]),
	2, '... and what its members used is theirs');
is($app->value(q(SELECT key_vault.forget('bob'))), 0, 'a member is forgotten');
is($node->safe_psql('postgres', q(SELECT count(*) FROM key_vault.monthly_costs WHERE user_id = 'bob'), extra_params => [ '-U', 'dba' ]),
	0, '... with what the team paid');
$app->value(q(SELECT key_vault.set('team:acme', 'gemini', 'AIza-of-acme')));

# --- One connection, requests of many users interleaved with those of other teams

my @who = map { my $user = $_; map { [ $user, $_ ] } '', 'acme', 'zeta', 'none' } 'ada', 'bob', 'cem', 'team:zeta';
my %expected = map {
	my ($user, $team) = @$_;
	"$user/$team" => $own{$user} // ($user eq 'team:zeta' || $team eq 'zeta' ? 'AIza-of-zeta' : $team eq 'acme' ? 'AIza-of-acme' : 'NULL')
} @who;
srand(7);
my $wrong = 0;
for (1 .. 1000)
{
	my ($user, $team) = @{ $who[ rand @who ] };
	$wrong++ if request($app, $user, $team) ne $expected{"$user/$team"};
	$wrong++ if $app->outcome('SELECT coalesce(key_vault.current_user_id(), key_vault.current_team_id())') ne 'NULL';
}
is($wrong, 0, '1,000 requests on one connection: each has its own key');

# Two sessions, statement by statement.
my $other = session($node, 'app');
for my $session ([ $app, 'bob', 'acme' ], [ $other, 'bob', 'zeta' ])
{
	$session->[0]->run('BEGIN');
	$session->[0]->value(q(SELECT set_config('key_vault.user_id', $1, true), set_config('key_vault.team_id', $2, true)), @$session[1, 2]);
}
for (1 .. 3)
{
	outcome_is($app, 'AIza-of-acme', 'bob for acme', q(SELECT key_vault.get(NULL, 'gemini')));
	outcome_is($other, 'AIza-of-zeta', 'bob for zeta', q(SELECT key_vault.get(NULL, 'gemini')));
}
$_->run('COMMIT') for $app, $other;

# --- What a pool does between two clients

for my $reset ('DISCARD ALL', 'RESET ALL')
{
	$other->run(q(SET key_vault.user_id = 'bob'), q(SET key_vault.team_id = 'acme'));
	outcome_is($other, 'AIza-of-acme', "a session's team", q(SELECT key_vault.get(NULL, 'gemini')));
	$other->run($reset);
	outcome_is($other, 'NULL', "$reset takes the team away", q(SELECT key_vault.current_team_id()));
	outcome_is($other, 'NULL', '... from the next user, too', q(SELECT key_vault.get('cem', 'gemini')));
	outcome_is($other, '22004', '... and the user', q(SELECT key_vault.get(NULL, 'gemini')));
}
# a team that a careless SET left behind serves the next user: as the docs say of SET
$other->run(q(SET key_vault.team_id = 'acme'));
outcome_is($other, 'AIza-of-acme', 'a session-level SET outlives its transaction', q(SELECT key_vault.get('cem', 'gemini')));
$other->run('RESET ALL');

# --- Roles that have a team

add_role($node, 'tenant', 'user', 'bob');
$node->safe_psql('postgres', q(ALTER ROLE tenant SET key_vault.team_id = 'acme'));
my $tenant = session($node, 'tenant');
outcome_is($tenant, 'AIza-of-acme', 'level user with a team by ALTER ROLE', q(SELECT key_vault.get(NULL, 'gemini')));
outcome_is($tenant, 'team', '... source()', q(SELECT key_vault.source(NULL, 'gemini')));
for my $sql (q(SET key_vault.team_id = 'zeta'), q(SET LOCAL key_vault.team_id = ''), q(SELECT set_config('key_vault.team_id', 'zeta', true)),
	q(SELECT key_vault.get('team:acme', 'gemini')), q(SELECT key_vault.set('team:acme', 'gemini', repeat('n', 20))), q(SELECT key_vault.delete('team:acme', 'gemini')),
	q(SELECT key_vault.forget('team:acme')), q(SELECT count(*) FROM key_vault.list('team:acme')), q(SELECT key_vault.get('ada', 'gemini')),
	q(ALTER ROLE tenant SET key_vault.team_id = 'zeta'), q(INSERT INTO key_vault.secrets (user_id) VALUES ('team:acme')))
{
	outcome_is($tenant, '42501', "... may not: $sql", $sql);
}
my $pretender = session($node, 'tenant', options => '-c key_vault.team_id=zeta');
outcome_is($pretender, 'NULL', '... takes it away by the options of a connection', q(SELECT key_vault.get(NULL, 'gemini')));
outcome_is($pretender, 'NULL', '... and has no other', q(SELECT key_vault.current_team_id()));
outcome_is($tenant, '0', '... sees no row of the team', q(SELECT count(*) FROM key_vault.secrets));
$tenant->run('RESET ALL');
outcome_is($tenant, 'AIza-of-acme', '... and keeps it through RESET ALL, as all that ALTER ROLE sets', q(SELECT key_vault.get(NULL, 'gemini')));
add_role($node, 'admins_of_acme', 'user', 'team:acme');
my $admin = session($node, 'admins_of_acme');
outcome_is($admin, '2', 'a role whose identity is the team changes its keys', q(SELECT key_vault.set(NULL, 'gemini', 'AIza-of-acme-2')));
outcome_is($tenant, 'AIza-of-acme-2', '... and its members have the new one', q(SELECT key_vault.get(NULL, 'gemini')));
outcome_is($admin, '42501', '... of no other team', q(SELECT key_vault.set('team:zeta', 'gemini', repeat('n', 20))));
outcome_is($admin, '42501', '... and of no member', q(SELECT key_vault.get('bob', 'gemini')));

# --- Parallel workers

$node->safe_psql('postgres', q{
	CREATE TABLE numbers AS SELECT n FROM generate_series(1, 20000) n;
	GRANT SELECT ON numbers TO PUBLIC;
	ANALYZE numbers;
	-- tells a lie: get() is not parallel safe
	CREATE FUNCTION get_in_worker() RETURNS text LANGUAGE plpgsql PARALLEL SAFE COST 10000
		AS $$ BEGIN RETURN key_vault.get(NULL, 'gemini') || CASE WHEN pg_backend_pid() = current_setting('kv.leader')::int
			THEN '' ELSE ' in a worker' END; END $$});
for my $session ($tenant, $app)
{
	$session->run('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
		'SET max_parallel_workers_per_gather = 2', 'SET parallel_leader_participation = off', q{SELECT set_config('kv.leader', pg_backend_pid()::text, false)});
	$session->run(q(SET key_vault.user_id = 'bob'), q(SET key_vault.team_id = 'acme')) if $session == $app;
	outcome_is($session, 'acme', 'the team in the workers', q(SELECT string_agg(DISTINCT key_vault.current_team_id() || CASE WHEN n < 0 THEN 'x' ELSE '' END, ',') FROM numbers));
	outcome_is($session, 'AIza-of-acme-2', 'get() above a parallel plan', q(SELECT key_vault.get(NULL, 'gemini') || left(count(*)::text, 0) FROM numbers));
	outcome_is($session, 'AIza-of-acme-2 in a worker', 'get() in a worker against its declaration', q(SELECT max(get_in_worker()) FROM numbers WHERE n % 100 = 0));
}
$app->run('RESET ALL');

# --- Development: the .env file comes before both

my $dotenv = PostgreSQL::Test::Utils::tempdir . '/.env';
append_to_file($dotenv, "DEBUG=true\nEXA_API_KEY=of-the-developer-exa\n");
chmod 0600, $dotenv;
$app->value(q(SELECT key_vault.set('team:acme', 'exa', 'of-acme-exa-xxxxxxxx')));
$node->append_conf('postgresql.conf', "key_vault.dotenv_file = '$dotenv'");
$node->reload;
my $developer = session($node, 'app');
$developer->run(q(SET key_vault.team_id = 'acme'));
outcome_is($developer, 'of-the-developer-exa', 'development: the variable', q(SELECT key_vault.get('bob', 'exa')));
outcome_is($developer, 'dotenv', '... is the source', q(SELECT key_vault.source('bob', 'exa')));
outcome_is($developer, 'AIza-of-acme-2', '... and where there is none, the team\'s', q(SELECT key_vault.get('bob', 'gemini')));
outcome_is($developer, 'AIza-of-ada', '... after the own', q(SELECT key_vault.get('ada', 'gemini')));
outcome_is($developer, '{"exa": "of-the-developer-exa", "gemini": "AIza-of-acme-2"}', '... get_all()', q(SELECT key_vault.get_all('bob')));
outcome_is($developer, '{"exa": "of-the-developer-exa"}', '... and without a user no team\'s', q(SELECT key_vault.get_all(NULL)));
outcome_is($developer, '1', 'a key for the team is set in both', q(SELECT key_vault.set('team:acme', 'serper', 'of-acme-serper-xxxxx')));
like(slurp_file($dotenv), qr/^SERPER_API_KEY=.*of-acme-serper-xxxxx/m, '... in the file, too');
$developer->value(q(SELECT key_vault.record_usage('bob', $1)), $_) for 'exa', 'gemini';
is($node->safe_psql('postgres', q(SELECT provider, paid_by, team_id FROM key_vault.monthly_costs WHERE user_id = 'bob' ORDER BY provider), extra_params => [ '-U', 'dba' ]),
	"exa|operator|\ngemini|team|acme", 'who pays for it');

done_testing();
