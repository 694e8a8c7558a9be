# Teams by token: what a claim says of the user's team decides, and no SQL that comes after.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use JSON::PP ();
use Test::More;

my $node = new_vault('team_tokens');
add_role($node, 'web', 'user');
add_role($node, 'tenant', 'user');
$node->safe_psql('postgres', q{
	ALTER ROLE tenant SET key_vault.team_id = 'acme';
	CREATE TABLE numbers AS SELECT n FROM generate_series(1, 20000) n;
	GRANT SELECT ON numbers TO PUBLIC;
	ANALYZE numbers;
	SELECT key_vault.set('team:' || t, 'gemini', 'AIza-of-' || t) FROM unnest('{acme,zeta}'::text[]) t;
	SELECT key_vault.set('ada', 'gemini', 'AIza-of-ada')});

my $issuer = new_issuer(issuer => 'https://a.example', algorithm => 'ES256', audience => 'app');
$issuer->trusted_by($node, team_claim => "'org'", team_admin_claim => "'admin'");

sub of
{
	my ($user, %claims) = @_;
	return $issuer->token(sub => $user, %claims);
}

my $session = session($node, 'web');

# A request with a token, then statements of [expected, SQL, parameters].
sub request
{
	my ($name, $token, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->run('BEGIN');
	$session->value('SELECT key_vault.authenticate($1)', $token);
	for my $step (@steps)
	{
		my ($expected, $sql, @parameters) = @$step;
		$session->run('SAVEPOINT s');
		outcome_is($session, $expected, "$name: $sql", $sql, @parameters);
		$session->run($expected =~ /\A(?!2000)[0-9A-Z]{5}\z/ && $expected ne 'NULL' ? 'ROLLBACK TO s' : 'RELEASE s');
	}
	$session->run('COMMIT');
	outcome_is($session, 'NULL', "$name: and nothing is left of it", 'SELECT coalesce(key_vault.current_user_id(), key_vault.current_team_id())');
	return;
}

my $get = q(SELECT key_vault.get(NULL, 'gemini'));
my $source = q(SELECT key_vault.source(NULL, 'gemini'));
my $team = 'SELECT key_vault.current_team_id()';
my @names_the_team = map { my $owner = $_; map { "SELECT * FROM key_vault.$_" }
	"get('$owner', 'gemini')", "lookup('$owner', 'gemini')", "require('$owner', 'gemini')", "get_all('$owner')", "source('$owner', 'gemini')", "list('$owner')", "versions('$owner', 'gemini')",
	"onboarding('$owner')", "set('$owner', 'gemini', repeat('n', 20))", "delete('$owner', 'gemini')", "forget('$owner')", "rollback('$owner', 'gemini', 1)",
	"record_usage('$owner', 'gemini')", "import_dotenv('$owner', 'EXA_API_KEY=nnnnnnnnnnnnnnnnnnnn')" } 'team:acme', 'team:zeta';

# --- A member

request('a member', of('bob', org => 'acme'), [ 'AIza-of-acme', $get ], [ 'team', $source ], [ 'acme', $team ], [ '0', 'SELECT count(*) FROM key_vault.secrets' ]);
request('a member with a key', of('ada', org => 'acme'), [ 'AIza-of-ada', $get ], [ 'user', $source ]);
request('no team', of('bob'), [ 'NULL', $get ], [ 'NULL', $team ], map { [ '42501', $_ ] } @names_the_team);
request('a team without keys', of('bob', org => 'none'), [ 'NULL', $get ], [ 'none', $team ]);
request('who pays', of('bob', org => 'zeta'), [ '', q(SELECT key_vault.record_usage(NULL, 'gemini')) ],
	[ 'team zeta', q(SELECT concat_ws(' ', paid_by, team_id) FROM key_vault.monthly_costs) ]);

# --- Whatever SQL comes after it

request('a member who injects SQL', of('bob', org => 'acme'),
	(map { [ '42501', $_ ] } @names_the_team, q(SET LOCAL key_vault.team_id = 'zeta'), q(SET key_vault.team_id = 'zeta'), 'RESET key_vault.team_id',
		q(SELECT set_config('key_vault.team_id', 'zeta', true)), q(SELECT set_config('key_vault.user_id', 'team:acme', true)), q(UPDATE pg_settings SET setting = 'zeta' WHERE name = 'key_vault.team_id'),
		q(CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET key_vault.team_id = 'zeta' AS 'SELECT key_vault.get(NULL, ''gemini'')')),
	[ 'AIza-of-acme', $get ]);
$session->run('BEGIN');
$session->value('SELECT key_vault.authenticate($1)', of('bob', org => 'acme'));
$session->run('RESET ALL');
outcome_is($session, 'acme', 'RESET ALL leaves the team of the token', $team);
outcome_is($session, 'AIza-of-acme', '... whose key serves', $get);
$session->run('COMMIT');

# --- Who may change a team's keys

my @admin = (org => 'acme', admin => JSON::PP::true);
request('an admin of the team', of('ada', @admin), [ '2', q(SELECT key_vault.set('team:acme', 'gemini', 'AIza-of-acme-2')) ], [ 'AIza-of-acme-2', q(SELECT key_vault.get('team:acme', 'gemini')) ],
	[ '1', q(SELECT count(*) FROM key_vault.list('team:acme')) ], [ '2', q(SELECT count(*) FROM key_vault.versions('team:acme', 'gemini')) ], [ '3', q(SELECT key_vault.rollback('team:acme', 'gemini', 1)) ],
	[ '4', q(SELECT key_vault.set('team:acme', 'gemini', 'AIza-of-acme-4')) ], [ 'AIza-of-ada', $get ], [ 'ada', 'SELECT key_vault.current_user_id()' ], [ '1', 'SELECT count(*) FROM key_vault.secrets' ],
	(map { [ '42501', $_ ] } grep { /team:zeta/ } @names_the_team), [ '42501', q(SELECT key_vault.get('bob', 'gemini')) ]);
request('its members', of('bob', org => 'acme'), [ 'AIza-of-acme-4', $get ]);
request("'true' as text", of('bob', org => 'acme', admin => 'true'), [ '42501', $names_the_team[0] ]);
request('1', of('bob', org => 'acme', admin => 1), [ '42501', $names_the_team[0] ]);
request('false', of('bob', org => 'acme', admin => JSON::PP::false), [ '42501', $names_the_team[0] ]);
request('an admin of no team', of('bob', admin => JSON::PP::true), [ '42501', $names_the_team[0] ], [ 'NULL', $team ]);
request('an admin of an empty team', of('bob', org => '', admin => JSON::PP::true), [ '22023', q(SELECT key_vault.get('team:', 'gemini')) ], [ 'NULL', $team ])
  if $session->outcome('SELECT key_vault.authenticate($1)', of('bob', org => '', admin => JSON::PP::true)) eq 'bob';

# --- One user of two teams: the second token's counts, and a savepoint gives the first one back

$session->run('BEGIN');
$session->value('SELECT key_vault.authenticate($1)', of('bob', org => 'acme'));
$session->run('SAVEPOINT s');
$session->value('SELECT key_vault.authenticate($1)', of('bob', org => 'zeta', admin => JSON::PP::true));
outcome_is($session, 'AIza-of-zeta', 'a second token of the same user', $get);
outcome_is($session, '2', '... is an admin of its team', q(SELECT key_vault.set('team:zeta', 'gemini', 'AIza-of-zeta-2')));
$session->run('ROLLBACK TO s');
outcome_is($session, 'AIza-of-acme-4', '... until it is rolled back', $get);
outcome_is($session, '42501', '... and no longer', q(SELECT key_vault.set('team:zeta', 'gemini', repeat('n', 20))));
$session->run('ROLLBACK');

# --- The issuer's team claim changes under a transaction: the token says another team from then on

$session->run('BEGIN');
$session->value('SELECT key_vault.authenticate($1)', of('bob', org => 'acme', group => 'zeta', admin => JSON::PP::true));
outcome_is($session, 'AIza-of-acme-4', 'a transaction of a team', $get);
$issuer->trusted_by($node, team_claim => "'group'");
outcome_is($session, 'AIza-of-zeta', '... of another one, once another claim says which', $get);
$session->run('SAVEPOINT s');
outcome_is($session, '42501', '... whose keys no claim lets it change', q{SELECT key_vault.set('team:zeta', 'gemini', repeat('n', 20))});
$session->run('ROLLBACK TO s');
$issuer->trusted_by($node);
outcome_is($session, 'NULL', '... and of none, once no claim does', $get);
$session->run('COMMIT');
$issuer->trusted_by($node, team_claim => "'org'", team_admin_claim => "'admin'");

# --- A role's own team does not stay beside a token that names none

my $tenant = session($node, 'tenant');
$tenant->run('BEGIN');
$tenant->value('SELECT key_vault.authenticate($1)', of('bob'));
outcome_is($tenant, 'NULL', 'a token without a team, in a role that has one', $get);
$tenant->run('RESET ALL');
outcome_is($tenant, 'acme', '... also when RESET ALL brings the setting back', q{SELECT current_setting('key_vault.team_id')});
outcome_is($tenant, 'NULL', '... which does not count', $get);
outcome_is($tenant, 'NULL', '... anywhere', $team);
$tenant->run('COMMIT');
outcome_is($tenant, 'acme', '... whose team is back afterwards', $team);

# --- Workers

$session->run('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = off');
request('workers', of('bob', org => 'acme'),
	[ 'acme', q(SELECT string_agg(DISTINCT key_vault.current_team_id() || CASE WHEN n < 0 THEN 'x' ELSE '' END, ',') FROM numbers) ],
	[ 'AIza-of-acme-4', q(SELECT key_vault.get(NULL, 'gemini') || left(count(*)::text, 0) FROM numbers) ]);

# --- No token's subject is a team, and no team's id begins as a team's user id does

outcome_is($session, '28000', 'a subject that is a team', 'SELECT key_vault.authenticate($1)', of('team:acme'));

outcome_is($session, '28000', 'a team with the prefix', 'SELECT key_vault.authenticate($1)', of('bob', org => 'team:acme'));

done_testing();
