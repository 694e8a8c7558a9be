# A token makes its user the identity of the transaction: of what comes after it, in what
# SAVEPOINT and ROLLBACK leave of it, whatever is set or reset meanwhile.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

my $node = new_vault('authenticate');
add_role($node, 'regress_kv_user', 'user');
add_role($node, 'regress_kv_tenant', 'user', 'user_b');
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', q{SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u});

my $issuer = new_issuer(algorithm => 'RS256');
$issuer->trusted_by($node);
my ($token_a, $token_b) = map { $issuer->token(sub => $_) } qw(user_a user_b);
my $session = session($node, 'regress_kv_user');

outcome_is($session, '42501', 'without a token there is no identity', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is($session, 'AIza-of-user_a', 'authenticate and get in one statement',
	q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)}, $token_a);
outcome_is($session, 'NULL', 'which ends with the transaction', 'SELECT key_vault.current_user_id()');
outcome_is($session, '', '... so does the setting', q{SELECT current_setting('key_vault.user_id')});

# in a transaction: steps of [expected, SQL, parameters]
sub in_transaction
{
	my ($name, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->run('BEGIN');
	my $n = 0;
	for my $step (@steps)
	{
		my ($expected, $sql, @parameters) = @$step;
		$n++;
		if (defined $expected)
		{
			outcome_is($session, $expected, "$name, step $n: $sql", $sql, @parameters);
		}
		else
		{
			$session->query($sql, @parameters);
		}
	}
	$session->query('ROLLBACK');
	outcome_is($session, 'NULL', "$name: and afterwards there is no identity", 'SELECT key_vault.current_user_id()');
	return;
}

my $whoami = 'SELECT key_vault.current_user_id()';
my $get = q{SELECT key_vault.get(NULL, 'gemini')};
my $authenticate = 'SELECT key_vault.authenticate($1)';
my @a = ('user_a', $authenticate, $token_a);

in_transaction('a transaction', \@a, [ 'user_a', $whoami ], [ 'AIza-of-user_a', $get ],
	[ '1', 'SELECT count(*) FROM key_vault.secrets' ],
	[ '42501', q{SELECT key_vault.get('user_b', 'gemini')} ]);
in_transaction('the same user again', \@a, \@a, [ 'user_a', $whoami ]);
in_transaction('another user', \@a, [ '42501', $authenticate, $token_b ]);
in_transaction('another user after a savepoint', \@a, [ undef, 'SAVEPOINT s' ], [ '42501', $authenticate, $token_b ],
	[ undef, 'ROLLBACK TO s' ], [ 'user_a', $whoami ]);
in_transaction('rolled back to a savepoint before it', [ undef, 'SAVEPOINT s' ], \@a, [ undef, 'ROLLBACK TO s' ],
	[ 'NULL', $whoami ], [ 'user_b', $authenticate, $token_b ], [ 'AIza-of-user_b', $get ]);
in_transaction('a savepoint that is released', [ undef, 'SAVEPOINT s' ], \@a, [ undef, 'RELEASE s' ],
	[ 'user_a', $whoami ], [ '42501', $authenticate, $token_b ]);
in_transaction('a later savepoint that is rolled back', [ undef, 'SAVEPOINT s' ], \@a, [ undef, 'RELEASE s' ], [ undef, 'SAVEPOINT t' ],
	[ undef, 'ROLLBACK TO t' ], [ undef, 'RESET ALL' ], [ 'user_a', $whoami ], [ '42501', $authenticate, $token_b ]);
in_transaction('savepoints in savepoints', [ undef, 'SAVEPOINT s' ], [ undef, 'SAVEPOINT t' ], \@a, [ undef, 'RELEASE t' ],
	[ 'user_a', $whoami ], [ undef, 'ROLLBACK TO s' ], [ 'NULL', $whoami ], [ undef, 'SAVEPOINT t' ], \@a,
	[ undef, 'ROLLBACK TO t' ], [ 'NULL', $whoami ]);
in_transaction('authenticated twice, the second one rolled back', \@a, [ undef, 'SAVEPOINT s' ], \@a,
	[ undef, 'ROLLBACK TO s' ], [ 'user_a', $whoami ], [ 'AIza-of-user_a', $get ]);
in_transaction('RESET ALL', \@a, [ undef, 'RESET ALL' ], [ '', q{SELECT current_setting('key_vault.user_id')} ],
	[ 'user_a', $whoami ], [ 'AIza-of-user_a', $get ], [ '42501', $authenticate, $token_b ]);
in_transaction('SET', \@a, [ '42501', q{SET LOCAL key_vault.user_id = 'user_b'} ]);
in_transaction('RESET', \@a, [ '42501', 'RESET key_vault.user_id' ]);
in_transaction('set_config', \@a, [ '42501', q{SELECT set_config('key_vault.user_id', 'user_b', true)} ]);
in_transaction('the time that workers go by', \@a, [ '42501', q{SELECT set_config('key_vault.identity_until', '', true)} ]);
in_transaction('an exception block', [ undef, q{DO $$ BEGIN PERFORM key_vault.authenticate('} . $token_a . q{'); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$} ],
	[ 'NULL', $whoami ]);
in_transaction('a DO block', [ undef, q{DO $$ BEGIN PERFORM key_vault.authenticate('} . $token_a . q{'); END $$} ], [ 'user_a', $whoami ]);
in_transaction('a cursor', \@a, [ undef, q{DECLARE c CURSOR FOR SELECT key_vault.get(NULL, 'gemini')} ], [ 'AIza-of-user_a', 'FETCH c' ]);

# A cursor held over the commit was run before it.
$session->run('BEGIN');
outcome_is($session, 'user_a', 'user_a authenticates', $authenticate, $token_a);
$session->run(q{DECLARE held CURSOR WITH HOLD FOR SELECT key_vault.current_user_id() FROM generate_series(1, 2)});
$session->run('COMMIT');
$session->run('BEGIN');
outcome_is($session, 'user_b', 'user_b authenticates', $authenticate, $token_b);
outcome_is($session, 'user_a', 'a cursor held over the commit has what user_a had', 'FETCH held');
$session->run('COMMIT', 'CLOSE held');

# A function's own settings do not end it.
$node->safe_psql('postgres', q{
	CREATE FUNCTION in_function(t text) RETURNS text LANGUAGE sql SET work_mem = '5MB' AS 'SELECT key_vault.authenticate(t)';
	CREATE PROCEDURE in_procedure(t text, INOUT before text, INOUT after text) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM key_vault.authenticate(t); before := key_vault.current_user_id(); COMMIT; after := key_vault.current_user_id(); END $$;});
in_transaction('in a function with settings of its own', [ 'user_a', 'SELECT in_function($1)', $token_a ], [ 'user_a', $whoami ],
	[ 'user_a', q{SELECT current_setting('key_vault.user_id')} ]);
is_deeply($session->query('CALL in_procedure($1, NULL, NULL)', $token_a)->{rows}, [ [ 'user_a', undef ] ], 'a COMMIT in a procedure ends it');

# Roles and sessions with identities
my $tenant = session($node, 'regress_kv_tenant');
outcome_is($tenant, '42501', 'a role with an identity cannot authenticate as another', $authenticate, $token_a);
outcome_is($tenant, 'user_b', '... but as that one', $authenticate, $token_b);
$tenant->query('DISCARD ALL');
outcome_is($tenant, '42501', '... after DISCARD ALL as before', $authenticate, $token_a);
my $without = session($node, 'regress_kv_tenant', options => '-c key_vault.user_id=');
outcome_is($without, 'NULL', 'a session can be started without the role\'s identity', $whoami);
outcome_is($without, '42501', '... which does not make it another\'s', $authenticate, $token_a);
outcome_is($without, 'user_b', '... but lets it have its own back', $authenticate, $token_b);
my $service = session($node, 'regress_kv_service');
$service->run(q{SET key_vault.user_id = 'user_b'});
outcome_is($service, '42501', 'a session with an identity cannot authenticate as another', $authenticate, $token_a);
$service->run('RESET key_vault.user_id', 'BEGIN');
outcome_is($service, 'user_a', 'at level service', $authenticate, $token_a);
outcome_is($service, 'AIza-of-user_a', '... for a token\'s user', $get);
$service->run('SAVEPOINT s');
outcome_is($service, '42501', '... and for no other', q{SELECT key_vault.get('user_b', 'gemini')});
$service->run('ROLLBACK TO s', q{SET LOCAL key_vault.user_id = 'user_b'});
outcome_is($service, 'user_a', '... whatever it sets', $whoami);
$service->run('ROLLBACK');

# Nothing is kept of tokens that another one has taken the place of.
{
	my $super = session($node);
	my $used = q{SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext'};
	$super->run('BEGIN');
	$super->value($authenticate, $token_a);
	for my $how ([ 'in one transaction', '' ], [ 'in a savepoint each', ' EXCEPTION WHEN division_by_zero THEN NULL;' ])
	{
		my $again = qq{DO \$\$ BEGIN FOR i IN 1 .. 500 LOOP BEGIN PERFORM key_vault.authenticate('$token_a');$how->[1] END; END LOOP; END \$\$};
		$super->run($again);
		my $before = $super->value($used);
		$super->run($again);
		cmp_ok($super->value($used) - $before, '<', 10_000, "authenticated 500 times $how->[0]: no memory is left behind");
	}
	$super->run('ROLLBACK');
	$super->close;
}

# PREPARE TRANSACTION ends it as a COMMIT does.
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->restart;
$session = session($node, 'regress_kv_user');
$session->run('BEGIN');
outcome_is($session, 'user_a', 'in a transaction to be prepared', $authenticate, $token_a);
$session->run(q{PREPARE TRANSACTION 'p'});
outcome_is($session, 'NULL', 'a prepared transaction\'s token is not the session\'s', $whoami);
outcome_is($session, 'user_b', '... which authenticates anew', $authenticate, $token_b);
$session->run(q{ROLLBACK PREPARED 'p'});

done_testing();
