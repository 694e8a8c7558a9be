# A backend's memory stays flat over a great many authentications: remembered tokens, tokens never
# seen before, refused ones, by a symmetric key and by a public one.  KV_LONG: a million.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $times = $ENV{KV_LONG} ? 1_000_000 : 20_000;
my $batch = 1000;
my $slack = 64;    # kB that a session may grow by

plan skip_all => 'this system tells nothing of processes in /proc' unless -r '/proc/self/status';

my $node = new_vault('token_memory', conf => "log_statement = none\nlog_min_messages = fatal\njit = off\n");
my ($hs, $es) = map { new_issuer(issuer => "https://$_->[0].example", algorithm => $_->[1], kid => $_->[0]) } [ hs => 'HS256' ], [ es => 'ES256' ];
$hs->trusted_by($node, user_prefix => q{'hs:'});
$es->trusted_by($node, user_prefix => q{'es:'});
add_role($node, 'regress_kv_user', 'user');
$node->safe_psql('postgres', <<'END');
SELECT key_vault.revoke_tokens('hs:revoked');
GRANT pg_read_all_stats TO regress_kv_user;
CREATE FUNCTION many(tokens text[], OUT good int, OUT refused int) LANGUAGE plpgsql AS $$
DECLARE
	token text;
BEGIN
	good := 0;
	refused := 0;
	FOREACH token IN ARRAY tokens LOOP
		BEGIN
			PERFORM key_vault.authenticate(token);
			good := good + 1;
		EXCEPTION WHEN invalid_authorization_specification THEN
			refused := refused + 1;
		END;
	END LOOP;
END $$;
END

my $number = 0;
sub hs_token { return $hs->token(sub => 'a', jti => ++$number, exp => time + 86400, @_); }

# More than are remembered, so that each is verified anew each time
my @public = map { $es->token(sub => 'a', jti => $_, exp => time + 86400) } 1 .. 150;
my @remembered = map { hs_token() } 1 .. 20;
my @refused = (
	sub { hs_token(exp => time - 3600, iat => time - 7200) },
	sub { hs_token(aud => "other_$number") },
	sub { hs_token() =~ s/.{6}\z/AAAAAA/r },
	sub { hs_token(iss => "https://$number.example") },
	sub { hs_token(sub => 'revoked', iat => time - 3600) },
	sub { hs_token(padding => 'x' x 17000) },
	sub { "$number.not.a.token" },
	sub { encode_base64url("{\"alg\":\"HS256\",\"a\":$number" . '[' x 100) . '.e30.AAAA' });

# A quarter good and never seen, a quarter refused, the rest remembered
sub batch_of
{
	my @tokens = map { ($remembered[ $_ % @remembered ], hs_token(), $remembered[ ($_ + 7) % @remembered ], $refused[ $_ % @refused ]->()) } 1 .. $batch / 4;
	return '{' . join(',', @tokens) . '}';
}

my $session = session($node, 'regress_kv_user');
my %count;
sub count
{
	my ($tokens) = @_;
	my $row = $session->query('SELECT good, refused FROM many($1::text[])', $tokens)->{rows}[0];
	$count{good} += $row->[0];
	$count{refused} += $row->[1];
	return;
}

# In kB
sub memory
{
	my $contexts = $session->value('SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts');
	my $status = slurp_file('/proc/' . $session->pid . '/status');
	return { contexts => int $contexts, map { $status =~ /^$_:\s+(\d+) kB/m ? ($_ => $1) : () } qw(RssAnon VmLck) };
}

sub stays_flat
{
	my ($name, $work, $rounds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for (1 .. 4) { $work->(); memory(); }
	my $before = memory();
	my $start = time;
	$work->() for 1 .. $rounds;
	my $after = memory();
	note sprintf '%s: %.0f s, %s', $name, time - $start, join ', ', map { "$_ $before->{$_} to $after->{$_} kB" } sort keys %$before;
	cmp_ok($after->{$_} - $before->{$_}, '<=', $slack, "$name: $_") for sort keys %$before;
	return;
}

stays_flat("$times authentications", sub { count(batch_of()) }, $times / $batch);
cmp_ok($count{good}, '>=', 3 * $times / 4, 'three quarters are good');
cmp_ok($count{refused}, '>=', $times / 4, 'and a quarter is refused');
$count{$_} = 0 for keys %count;
stays_flat('public keys', sub { count('{' . join(',', @public) . '}') }, $times / $batch / 4);
cmp_ok($count{good}, '>=', @public * $times / $batch / 4, 'all of them are good');

# A transaction each, with savepoints that are handed on and rolled back
stays_flat('transactions', sub {
	for my $n (1 .. 50)
	{
		$session->run('BEGIN', 'SAVEPOINT one');
		$session->query('SELECT key_vault.authenticate($1)', $remembered[ $n % @remembered ]);
		$session->run('SAVEPOINT two');
		$session->query('SELECT key_vault.authenticate($1)', hs_token());
		$session->run($n % 3 ? 'RELEASE two' : 'ROLLBACK TO two', $n % 2 ? 'RELEASE one' : 'ROLLBACK TO one', $n % 5 ? 'COMMIT' : 'ROLLBACK');
	}
}, $times / 2000);

# An issuer that is made anew is read anew
my $super = session($node);
my $trust = q{SELECT key_vault.trust_issuer('https://hs.example', '{key_vault}', $1::jsonb, user_prefix => 'hs:')};
stays_flat('an issuer that is read anew', sub {
	for (1 .. 20)
	{
		$super->value($trust, $hs->jwks);
		count("{$remembered[0],$public[0]}");
	}
}, $times / 4000);

done_testing();
