# A token and a key in one statement: planned as a condition instead of a scan, where nothing
# else is asked; and it says and refuses the same as with the scan.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

my $node = new_vault('by_token');
add_role($node, 'regress_kv_user', 'user');
$node->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	CREATE SCHEMA other;
	GRANT USAGE ON SCHEMA other TO PUBLIC;
	CREATE FUNCTION other.authenticate(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE FUNCTION other.get(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN key_vault.current_user_id(); END $$;});

my $issuer = new_issuer(algorithm => 'RS256');
$issuer->trusted_by($node);
my ($token_a, $token_b) = map { $issuer->token(sub => $_) } qw(user_a user_b);
my $session = session($node, 'regress_kv_user');
$session->run('SELECT key_vault.current_user_id()');	# which loads the library

my $from = 'FROM key_vault.authenticate($1)';
my $get = qq{SELECT key_vault.get(NULL, 'gemini') $from};

sub plan
{
	my ($sql, @parameters) = @_;
	return join ' ', map { $_->[0] } @{ $session->query("EXPLAIN (COSTS off) $sql", @parameters)->{rows} };
}

# --- How it is planned

like(plan($_, $token_a), qr/^Result +One-Time Filter: /, "no scan: $_")
  for $get, "SELECT key_vault.require(NULL, 'gemini') $from",
  "SELECT key_vault.get(NULL, provider => 'gemini', label => 'default'), key_vault.get(NULL, 'groq') $from AS t";

like(plan($_, $token_a), qr/Function Scan on /, "a scan: $_")
  for "SELECT authenticate $from", "SELECT key_vault.get(NULL, 'gemini'), authenticate $from", "$get WHERE true AND authenticate <> ''",
  "$get LIMIT 0", "$get ORDER BY 1", "SELECT key_vault.current_user_id() $from", "SELECT other.get(NULL, 'gemini') $from",
  "SELECT key_vault.get(NULL, current_setting('search_path')) $from", "SELECT key_vault.get(NULL, (SELECT 'gemini')) $from",
  q{SELECT key_vault.get(NULL, 'gemini') FROM other.authenticate($1)}, "$get WITH ORDINALITY", "$get, generate_series(1, 2)";

# --- What it does

outcome_is($session, 'AIza-of-user_a', 'the key of the token\'s user', $get, $token_a);
outcome_is($session, 'AIza-of-user_b', 'and of the next token\'s', $get, $token_b);
outcome_is($session, 'NULL', 'with no identity afterwards', 'SELECT key_vault.current_user_id()');
outcome_is($session, '28000', 'a token that is none', $get, 'eyJhbGciOiJub25lIn0.e30.');
outcome_is($session, '22004', 'NULL', $get, undef);
outcome_is($session, 'user_a', 'a function of the same name runs after it', "SELECT other.get(NULL, 'gemini') $from", $token_a);
is_deeply($session->query("$get LIMIT 0", 'no token')->{rows}, [], 'nothing is asked with LIMIT 0');
is($node->safe_psql('postgres', q{SELECT key_vault.get('user_a', 'gemini') FROM other.authenticate('x')}), 'AIza-of-user_a',
	'another function of the name may return NULL');
is($session->query("$get WHERE authenticate = 'user_b'", $token_a)->{rows}[0], undef, 'a condition on the user is a condition');

# A cached plan, as drivers have it after some calls
$session->run(q{SET plan_cache_mode = force_generic_plan}, qq{PREPARE p(text) AS $get});
my $execute = sub { "EXECUTE p('$_[0]')" };
outcome_is($session, "AIza-of-user_$_->[0]", "a cached plan, user_$_->[0]", $execute->($_->[1])) for [ a => $token_a ], [ b => $token_b ];
outcome_is($session, '28000', 'a cached plan, a token that is none', $execute->('eyJhbGciOiJub25lIn0.e30.'));
$session->run('BEGIN', $execute->($token_a));
outcome_is($session, '42501', 'a cached plan, another user in the transaction', $execute->($token_b));
$session->run('ROLLBACK');
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION key_vault.authenticate FROM regress_kv_user');
outcome_is($session, '42501', 'who may not authenticate does not', $get, $token_a);
outcome_is($session, '42501', '... nor by a cached plan', $execute->($token_a));

done_testing();
